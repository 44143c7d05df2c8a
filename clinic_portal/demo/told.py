"""What patients were told of their visits: rows of the ledger for messages that left long ago."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from clinic_portal.demo.diary import Diary
from clinic_portal.models import (
    Appointment,
    Channel,
    ContactKind,
    ContactPoint,
    Delivery,
    Event,
    Notification,
    Recipient,
    Status,
)
from clinic_portal.notifications.ledger import dedupe_key

ON_THE_WAY = timedelta(seconds=4)


def add_messages(session: Session, diary: Diary, yet_to_call: set[int]) -> None:
    """Write one for each state of each visit.

    Args: yet_to_call, the visits whose patients somebody has still to call.
    """
    by_mail = select(ContactPoint.patient_id, ContactPoint.id).where(ContactPoint.kind == ContactKind.EMAIL)
    # The first address of each counts.
    addresses = {row.patient_id: row.id for row in session.execute(by_mail.order_by(ContactPoint.id.desc()))}
    rows = [row for visit in diary.visits if visit.id not in yet_to_call for row in _rows(visit, addresses)]
    session.execute(insert(Notification), rows)


def _rows(visit: Appointment, addresses: dict[int, int]) -> Iterator[dict[str, Any]]:
    contact_point_id = addresses.get(visit.patient_id)
    if visit.booked_at is not None:
        yield _row(visit, Event.BOOKED, 0, visit.booked_at, contact_point_id)
    if visit.booked_at is not None and visit.status is Status.CANCELLED and visit.cancelled_at is not None:
        yield _row(visit, Event.CANCELLED, visit.sequence, visit.cancelled_at, contact_point_id)


def _row(
    visit: Appointment, event: Event, sequence: int, told_at: datetime, contact_point_id: int | None
) -> dict[str, Any]:
    channel = Channel.CALL if contact_point_id is None else Channel.EMAIL
    key = dedupe_key(visit.id, event, sequence, Recipient.PATIENT, visit.patient_id, channel)
    return {
        "dedupe_key": key, "appointment_id": visit.id, "event": event, "sequence": sequence, "facts": {},
        "recipient": Recipient.PATIENT, "patient_id": visit.patient_id, "contact_point_id": contact_point_id,
        "channel": channel, "delivery": Delivery.SENT, "created_at": told_at, "due_at": told_at,
        "next_try_at": told_at, "sent_at": told_at + ON_THE_WAY, "tries": 1,
    }  # fmt: skip
