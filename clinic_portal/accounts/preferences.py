"""What people set for themselves about how the portal speaks to them."""

from __future__ import annotations

from sqlalchemy.orm import Session

from clinic_portal import audit
from clinic_portal.accounts import actor_of
from clinic_portal.database import writing
from clinic_portal.models import Account, columns_of


@writing
def keep_language(session: Session, *, account_id: int, language: str) -> None:
    """Keep in which language somebody reads pages, and the mails about their account.

    Args: language, one of those that the portal speaks.
    Commits: the account, when it is another one than before.
    """
    account = session.get_one(Account, account_id, with_for_update={"key_share": True})
    if account.language == language:
        return
    before = columns_of(account, ("language",))
    account.language = language
    audit.record(session, actor_of(account), "change_language", account, before=before,
                 after=columns_of(account, ("language",)))  # fmt: skip
