"""Another e-mail address for an account: asked for, confirmed at the new one, told to the old one."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from clinic_portal import audit, clock
from clinic_portal.accounts import actor_of, emails, rights_of, tokens
from clinic_portal.database import writing
from clinic_portal.errors import LinkExpired
from clinic_portal.models import Account, ContactKind, ContactPoint, Event
from clinic_portal.notifications.account_outbox import tell_account, tell_if_there_is


@writing
def ask_to_change(session: Session, *, account_id: int, email: str) -> None:
    """Send a link to the new address. If that has an account already, its owner is told, and nobody else.

    Commits: what was asked for, and the message.
    Rings: deliver_notifications.
    """
    account = session.get_one(Account, account_id, with_for_update={"key_share": True})
    other = emails.find(session, email)
    if other is None:
        account.pending_email = email
        tell_account(session, account.id, Event.CHANGE_EMAIL)
    else:
        has_owner = other.id != account.id and other.confirmed_at is not None
        tell_if_there_is(session, other if has_owner else None, Event.ALREADY_REGISTERED)


def change_email(token: str) -> None:
    """Sign in with the new address from now on, and get the clinic's mails there.

    Commits: the account, and how the people it acts for are reached where that was the old address.
    Raises: LinkExpired, also when the address has got an account of its own meanwhile.
    Rings: deliver_notifications.
    """
    try:
        _change_email(token=token)
    except IntegrityError as error:
        raise LinkExpired from error


@writing
def _change_email(session: Session, *, token: str) -> None:
    account = tokens.read(session, tokens.Purpose.CHANGE_EMAIL, token, lock=True)
    if account.pending_email is None or emails.find(session, account.pending_email) is not None:
        raise LinkExpired
    account.former_email, account.email, account.pending_email = account.email, account.pending_email, None
    session.flush()
    _reach_at_new_address(session, account)
    audit.record(session, actor_of(account), "change_email", account)
    tell_account(session, account.id, Event.EMAIL_CHANGED)


def _reach_at_new_address(session: Session, account: Account) -> None:
    patient_ids = [right.patient_id for right in rights_of(account)]
    old = select(ContactPoint).where(
        ContactPoint.patient_id.in_(patient_ids),
        ContactPoint.kind == ContactKind.EMAIL,
        ContactPoint.ended_at.is_(None),
        func.lower(ContactPoint.value) == (account.former_email or "").lower(),
    )
    for point in session.scalars(old):
        point.ended_at = clock.now()
        session.add(
            ContactPoint(patient_id=point.patient_id, kind=point.kind, whose=point.whose, value=account.email,
                         preferred_rank=point.preferred_rank)
        )  # fmt: skip
