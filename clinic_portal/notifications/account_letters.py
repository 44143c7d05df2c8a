"""A message about an account, about to leave: whether it still is of use, to which address it goes, and its link."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from clinic_portal.accounts import tokens
from clinic_portal.models import Account, Event, Notification
from clinic_portal.notifications.account_outbox import newest_number
from clinic_portal.notifications.facts import NoAddress, Overtaken
from clinic_portal.settings import load_settings

# Which page a message leads to, and for what its link is good.
LINKS = {
    Event.CONFIRM_EMAIL: ("entrance.confirm", tokens.Purpose.CONFIRM),
    Event.RESET_PASSWORD: ("entrance.new_password", tokens.Purpose.RESET),
    Event.CHANGE_EMAIL: ("entrance.confirm_new_email", tokens.Purpose.CHANGE_EMAIL),
}


@dataclass(frozen=True)
class AccountLetter:
    """Everything such a mail tells or needs, free of the database."""

    dedupe_key: str
    event: Event
    created_at: datetime
    address: str
    endpoint: str | None
    token: str | None
    link_lasts_h: int | None
    clinic_name: str
    clinic_phone: str
    language: str | None
    contact_point_id: None = None


def read_account_letter(session: Session, row: Notification) -> AccountLetter:
    """Read what one message has to say now, and make its link.

    Raises: Overtaken when it should not leave any more, NoAddress when it cannot.
    """
    account = row.account
    assert account is not None
    reason = _why_overtaken(session, row, account)
    if reason is not None:
        raise Overtaken(reason)
    endpoint, purpose = LINKS.get(row.event, (None, None))
    settings = load_settings(session)
    return AccountLetter(
        dedupe_key=row.dedupe_key,
        event=row.event,
        created_at=row.created_at,
        address=_address(row, account),
        endpoint=endpoint,
        token=tokens.make(purpose, account) if purpose else None,
        link_lasts_h=int(tokens.LASTS[purpose].total_seconds()) // 3600 if purpose else None,
        clinic_name=settings.value("clinic_name"),
        clinic_phone=settings.value("clinic_phone"),
        language=account.language,
    )


def _why_overtaken(session: Session, row: Notification, account: Account) -> str | None:
    if not account.active:
        return "closed"
    if row.sequence != newest_number(session, account.id, row.event):
        return "newer"
    if row.event == Event.CONFIRM_EMAIL and account.confirmed_at is not None:
        return "confirmed"
    if row.event == Event.CHANGE_EMAIL and account.pending_email is None:
        return "changed"
    return None


def _address(row: Notification, account: Account) -> str:
    others = {Event.CHANGE_EMAIL: account.pending_email, Event.EMAIL_CHANGED: account.former_email}
    address = others.get(row.event, account.email)
    if not address:
        raise NoAddress
    return address
