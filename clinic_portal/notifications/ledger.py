"""The rows of the ledger: their one name, and how they are written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, insert
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import run
from clinic_portal.models import Channel, Delivery, Event, Notification, Recipient

_WRITE = insert(cast("Table", Notification.__table__))


def dedupe_key(
    appointment_id: int, event: str, sequence: int, recipient: Recipient, recipient_id: int, channel: Channel
) -> str:
    """The name of one message; the same message can be written once only, and has the same Message-ID in every try.

    Args: event, with how long before the visit for a reminder: "reminder-3d".
    """
    return f"appointment:{appointment_id}:{event}:{sequence}:{recipient}:{recipient_id}:{channel}"


def row(
    key: str,
    appointment_id: int | None,
    event: Event,
    sequence: int,
    facts: dict[str, Any],
    due_at: datetime | None = None,
) -> dict[str, Any]:
    """A message to be written, without its recipient; due at once unless told otherwise."""
    now = clock.now()
    return {
        "dedupe_key": key,
        "appointment_id": appointment_id,
        "event": event,
        "sequence": sequence,
        "facts": facts,
        "patient_id": None,
        "practitioner_id": None,
        "contact_point_id": None,
        "created_at": now,
        "due_at": due_at or now,
        "next_try_at": due_at or now,
        "tries": 0,
        "absence_id": None,
    }


def write(session: Session, rows: list[dict[str, Any]]) -> None:
    """Write messages inside the caller's transaction."""
    run(session, _WRITE, [held_back(session, each) for each in rows])


_HELD = "messages_held_back"


@contextmanager
def holding_back(session: Session, until: datetime, absence_id: int) -> Iterator[None]:
    """Let whatever is written meanwhile leave at an instant at the earliest, and know what caused it."""
    session.info[_HELD] = (until, absence_id)
    try:
        yield
    finally:
        del session.info[_HELD]


def held_back(session: Session, values: dict[str, Any]) -> dict[str, Any]:
    """A message to be written, as late as it has to be; what is said by phone is on the desk's list at once."""
    until, absence_id = session.info.get(_HELD, (None, None))
    if until is None:
        return values
    held = {} if values["delivery"] == Delivery.TO_CALL else {
        name: max(values[name], until) for name in ("due_at", "next_try_at")
    }  # fmt: skip
    # Reminders are planned anew with every change of their visit.
    cause = {} if values["event"] == Event.REMINDER else {"absence_id": absence_id}
    return values | held | cause
