"""What somebody has written on a form so far, while they change an answer on another page: sealed, for an hour."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.accounts.sealing import seal, unseal
from clinic_portal.database import writing
from clinic_portal.models import RequestDraft

KEPT_FOR = timedelta(hours=1)
PURPOSE = "request draft"


@dataclass(frozen=True)
class Written:
    """The boxes of a request's check page: note, number to call, and whether it is private, None where not asked."""

    note: str
    number: str
    is_private: bool | None = None


@writing
def keep_draft(session: Session, *, account_id: int, token: str, written: Written) -> None:
    """Keep what is written, in place of what was kept of the same form before.

    Args: token, that of the form.
    Commits: the draft, sealed.
    """
    of_form = delete(RequestDraft).where(RequestDraft.account_id == account_id, RequestDraft.token == token)
    session.execute(of_form)
    sealed = seal(json.dumps(asdict(written)), PURPOSE)
    session.add(RequestDraft(account_id=account_id, token=token, sealed=sealed, kept_at=clock.now()))


def read_draft(session: Session, account_id: int, token: str) -> Written | None:
    """What is kept of a form; None when nothing is, or not any more."""
    found = select(RequestDraft.sealed).where(
        RequestDraft.account_id == account_id,
        RequestDraft.token == token,
        RequestDraft.kept_at > clock.now() - KEPT_FOR,
    )
    sealed = session.scalar(found)
    text = None if sealed is None else unseal(sealed, PURPOSE)
    return None if text is None else Written(**json.loads(text))


@writing
def forget_old_drafts(session: Session) -> None:
    """Throw away what nobody came back for.

    Commits: that.
    """
    session.execute(delete(RequestDraft).where(RequestDraft.kept_at <= clock.now() - KEPT_FOR))
