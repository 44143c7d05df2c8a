"""The privacy notice: which text is in force, and who has accepted it."""

from __future__ import annotations

from sqlalchemy.orm import Session

from clinic_portal import audit
from clinic_portal.audit import Actor
from clinic_portal.database import writing
from clinic_portal.models import Account, columns_of

# Raise it with every change of meaning in templates/patient/privacy.html: everybody is then asked again.
VERSION = "2026-11"


def has_accepted(account: Account) -> bool:
    """Whether the account has seen and accepted the notice that is in force."""
    return account.privacy_notice_version == VERSION


@writing
def accept_notice(session: Session, *, actor: Actor) -> None:
    """Note that an account has accepted the notice that is in force.

    Commits: its version.
    """
    account = session.get_one(Account, actor.account_id, with_for_update={"key_share": True})
    if not has_accepted(account):
        before = columns_of(account, ("privacy_notice_version",))
        account.privacy_notice_version = VERSION
        after = columns_of(account, ("privacy_notice_version",))
        audit.record(session, actor, "accept_notice", account, before=before, after=after)
