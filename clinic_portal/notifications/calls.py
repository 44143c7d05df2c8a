"""Messages that a person gives by phone: what there is to tell, and that it has been told."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.models import Delivery, Notification


def calls_about(session: Session, appointment_id: int) -> list[Notification]:
    """What has to be told by phone about a visit, oldest first."""
    waiting = select(Notification).filter_by(appointment_id=appointment_id, delivery=Delivery.TO_CALL)
    return list(session.scalars(waiting.order_by(Notification.id)))


def end_calls(session: Session, appointment_id: int, outcome: str, *, is_told: bool) -> None:
    """Bring what had to be told by phone to its end, inside the caller's transaction."""
    for row in calls_about(session, appointment_id):
        row.delivery, row.detail = Delivery.SENT if is_told else Delivery.FAILED, outcome
        row.sent_at = clock.now() if is_told else None
        row.tries += 1
