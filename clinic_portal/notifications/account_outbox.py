"""Messages about an account, in the same ledger as those about visits: written with the change, sent later, once.

Rows keep no address and no link: both are looked up or made when the message leaves.
"""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from clinic_portal import clock, queues
from clinic_portal.database import after_commit
from clinic_portal.models import Account, Channel, Delivery, Event, Notification, Recipient
from clinic_portal.notifications import ledger


def tell_if_there_is(session: Session, account: Account | None, event: Event) -> None:
    """Write one message if there is an account; if not, only ring, so that the answer takes as long.

    Rings: deliver_notifications, after the caller's commit.
    """
    if account is None:
        after_commit(_ring)
    else:
        tell_account(session, account.id, event)


def tell_account(session: Session, account_id: int, event: Event) -> None:
    """Write one message to the owner of an account, inside the caller's transaction, which has locked the account.

    A newer message of the same kind overtakes the ones before it that have not left yet.
    Rings: deliver_notifications, after the caller's commit.
    """
    number = newest_number(session, account_id, event) + 1
    now = clock.now()
    values = {
        "dedupe_key": f"account:{account_id}:{event}:{number}",
        "account_id": account_id,
        "event": event,
        "sequence": number,
        "recipient": Recipient.ACCOUNT,
        "channel": Channel.EMAIL,
        "delivery": Delivery.DUE,
        "created_at": now,
        "due_at": now,
        "next_try_at": now,
    }
    session.add(Notification(**ledger.held_back(session, values)))
    session.flush()
    after_commit(_ring)


def newest_number(session: Session, account_id: int, event: Event) -> int:
    """The number of the newest message of this kind; 0 when there is none yet."""
    query = select(func.max(Notification.sequence)).where(
        Notification.account_id == account_id, Notification.event == event
    )
    return session.scalar(query) or 0


def _ring() -> None:
    queues.ring("deliver_notifications")
