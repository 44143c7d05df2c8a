"""What somebody sent after their time had run out: kept sealed for an hour, and shown to the same account only."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.accounts.sealing import seal, unseal
from clinic_portal.database import writing
from clinic_portal.models import KeptForm

KEPT_FOR = timedelta(hours=1)
# As many pages as somebody has open at once; of more, the oldest are given up.
MOST = 5
PURPOSE = "kept form"
# Never kept, whatever the form: what proves who somebody is, and what each page makes anew.
SECRET = frozenset({"password", "old_password", "code", "credential", "key", "csrf_token", "token"})


@dataclass(frozen=True)
class Typed:
    """A form as it was sent: the page that shows it, where that page sends it, and what the boxes said."""

    page: str
    action: str
    fields: list[tuple[str, str]]


@writing
def keep(session: Session, *, account_id: int, typed: Typed) -> None:
    """Keep a form that was not carried out, in place of an older one that goes to the same address.

    Commits: the form, sealed.
    """
    fields = [(name, value) for name, value in typed.fields if name not in SECRET]
    text = json.dumps({"page": typed.page, "action": typed.action, "fields": fields})
    rows = session.scalars(select(KeptForm).filter_by(account_id=account_id).order_by(KeptForm.id.desc())).all()
    same = [row.id for row in rows if (old := _read(row)) is None or old.action == typed.action]
    others = [row.id for row in rows if row.id not in same]
    session.execute(delete(KeptForm).where(KeptForm.id.in_([*same, *others[MOST - 1 :]])))
    session.add(KeptForm(account_id=account_id, sealed=seal(text, PURPOSE), kept_at=clock.now()))


def has_any(session: Session, account_id: int) -> bool:
    """Whether something of this account is kept."""
    rows = exists().where(KeptForm.account_id == account_id, KeptForm.kept_at > clock.now() - KEPT_FOR)
    return bool(session.scalar(select(rows)))


def all_kept(session: Session, account_id: int) -> list[Typed]:
    """What is kept of this account, the newest first."""
    query = select(KeptForm).where(KeptForm.account_id == account_id, KeptForm.kept_at > clock.now() - KEPT_FOR)
    found = [_read(row) for row in session.scalars(query.order_by(KeptForm.id.desc()))]
    return [typed for typed in found if typed is not None]


@writing
def forget(session: Session, *, account_id: int, action: str) -> bool:
    """Throw away what was kept for one address, since it has now been sent there.

    Commits: that.
    Returns: whether anything else of the account is still kept.
    """
    rows = session.scalars(select(KeptForm).filter_by(account_id=account_id)).all()
    gone = [row.id for row in rows if (typed := _read(row)) is None or typed.action == action]
    session.execute(delete(KeptForm).where(KeptForm.id.in_(gone)))
    return len(rows) > len(gone)


@writing
def forget_old_forms(session: Session) -> None:
    """Throw away what nobody came back for.

    Commits: that.
    """
    session.execute(delete(KeptForm).where(KeptForm.kept_at <= clock.now() - KEPT_FOR))


def paired(items: Iterable[tuple[str, list[str]]]) -> list[tuple[str, str]]:
    """Names with several values each, as a form lists them."""
    return [(name, value) for name, values in items for value in values]


def _read(row: KeptForm) -> Typed | None:
    text = unseal(row.sealed, PURPOSE)
    if text is None:
        return None
    told = json.loads(text)
    return Typed(told["page"], told["action"], [(name, value) for name, value in told["fields"]])
