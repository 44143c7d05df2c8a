"""The rows of reminders: written, moved and taken back until they are what is planned for a patient.

Each change of a visit plans its patient anew, in the same transaction. What else may change the plan (other settings,
visits that came in by another way) is found by the sweep: a visit keeps the rules that its reminders follow.
Whoever has no mailbox gets no rows: a call about a visit that stands would only bury the calls about changes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import BindParameter, Row, Select, and_, bindparam, false, select, true, update
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import run
from clinic_portal.models import (
    Appointment,
    Channel,
    Delivery,
    Event,
    Location,
    Notification,
    Patient,
    Recipient,
    Status,
    UTCDateTime,
)
from clinic_portal.notifications import ledger
from clinic_portal.notifications.addresses import first_email
from clinic_portal.notifications.reminder_plan import Ahead, Slot, plan
from clinic_portal.notifications.reminder_rules import Offset, rules_for
from clinic_portal.settings import Settings, load_settings

# Why a reminder is written and will not leave: another visit's mail tells of this one too.
SHARED = "shared"

_patient, _visit, _row = Patient.__table__.c, Appointment.__table__.c, Notification.__table__.c
# For visits that others may know of, and for private ones.
_PEOPLE = select(
    _patient.id,
    _patient.deceased_on,
    _patient.reminders_stopped_at,
    first_email(false()).label("contact_id"),
    first_email(true()).label("own_contact_id"),
)
_AHEAD = (
    select(
        _visit.patient_id, _visit.id.label("visit_id"), _visit.status, _visit.sequence.label("visit_sequence"),
        _visit.starts_at, _visit.booked_at, _visit.requested_at, _visit.is_private, _visit.visit_type_id, _visit.mode,
        _visit.shown_window_min, _visit.reminder_rules, Location.zone, _row.id, _row.event, _row.sequence, _row.facts,
        _row.delivery, _row.contact_point_id, _row.detail, _row.created_at, _row.due_at, _row.sent_at,
    )
    .select_from(Appointment)
    .join(Location, Location.id == _visit.location_id)
    .outerjoin(Notification, and_(_row.appointment_id == _visit.id, _row.recipient == Recipient.PATIENT))
    .where(_visit.starts_at > bindparam("now", type_=UTCDateTime))
    .order_by(_visit.id, _row.id)
)  # fmt: skip
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
# Of one patient, as in every reservation, which is a little faster; and of several.
_ONE = _PEOPLE.where(_patient.id == bindparam("id")), _AHEAD.where(_visit.patient_id == bindparam("id"))
_SEVERAL = _PEOPLE.where(_patient.id.in_(_IDS)), _AHEAD.where(_visit.patient_id.in_(_IDS))
_CHANGED = ("delivery", "detail", "due_at", "next_try_at", "contact_point_id")
# Race: a sender may have taken the message since it was read; then it is judged there.
_CHANGE = (
    update(Notification)
    .where(_row.id == bindparam("row_id"), _row.delivery == bindparam("was"))
    .values({name: bindparam(f"new_{name}") for name in _CHANGED})
    .execution_options(synchronize_session=False)
)
_NOTE_RULES = (
    update(Appointment)
    .where(_visit.id == bindparam("visit_id"))
    .values(reminder_rules=bindparam("rules"))
    .execution_options(synchronize_session=False)
)


@dataclass(frozen=True)
class _Visit:
    """A visit to come, its reminders so far, the mailbox for them, and, while it is booked, what plans ask of it."""

    row: Row[Any]
    reminders: list[Row[Any]]
    contact_id: int | None
    ahead: Ahead | None

    def is_of_now(self, reminder: Row[Any]) -> bool:
        """Whether a reminder is for the time that the visit has now."""
        return self.ahead is not None and bool(reminder.sequence == self.row.visit_sequence)


def plan_for(session: Session, patient_id: int) -> None:
    """Bring a patient's reminders in line with their visits, inside the caller's transaction, which has locked them.

    Source: UC6.2.
    """
    _plan(session, *_ONE, {"id": patient_id})


def plan_for_all(session: Session, patient_ids: Iterable[int]) -> None:
    """As `plan_for`, for several patients: read and written together."""
    ids = sorted(set(patient_ids))
    if ids:
        _plan(session, *_SEVERAL, {"ids": ids})


def _plan(session: Session, people: Select[Any], ahead: Select[Any], whose: dict[str, Any]) -> None:
    now, settings = clock.now(), load_settings(session)
    persons = {person.id: person for person in run(session, people, whose)}
    visits_of = _read(session, ahead, whose, persons, now, settings)
    # Visits before messages, as everywhere.
    _note_rules(session, [visit for visits in visits_of.values() for visit in visits])
    new: list[dict[str, Any]] = []
    for patient_id, visits in visits_of.items():
        new += _bring_in_line(session, persons[patient_id], visits, now)
    if new:
        ledger.write(session, new)


def _bring_in_line(session: Session, person: Row[Any], visits: list[_Visit], now: datetime) -> list[dict[str, Any]]:
    """Change or take back what is written for one patient; returns what is to be written."""
    why_none = "deceased" if person.deceased_on else "opted_out" if person.reminders_stopped_at else None
    reachable = [visit.ahead for visit in visits if visit.ahead and visit.contact_id is not None]
    slots = plan([] if why_none else reachable, now)
    new: list[dict[str, Any]] = []
    for visit in visits:
        _take_back(session, visit, slots, why_none)
        new += _put(session, person.id, visit, slots)
    return new


def _read(
    session: Session,
    ahead: Select[Any],
    whose: dict[str, Any],
    persons: dict[int, Row[Any]],
    now: datetime,
    settings: Settings,
) -> dict[int, list[_Visit]]:
    """The visits ahead of some patients, by patient."""
    by_visit: dict[tuple[int, int], list[Row[Any]]] = defaultdict(list)
    for row in run(session, ahead, {**whose, "now": now}):
        by_visit[row.patient_id, row.visit_id].append(row)
    found: dict[int, list[_Visit]] = defaultdict(list)
    for (patient_id, _), rows in by_visit.items():
        found[patient_id].append(_visit_of(rows, persons[patient_id], settings))
    return found


def _visit_of(rows: list[Row[Any]], person: Row[Any], settings: Settings) -> _Visit:
    first = rows[0]
    return _Visit(
        row=first,
        reminders=[row for row in rows if row.event == Event.REMINDER],
        contact_id=person.own_contact_id if first.is_private else person.contact_id,
        ahead=_ahead(first, rows, settings) if first.status == Status.BOOKED else None,
    )


def _told_start(visit: Row[Any]) -> datetime:
    """When the visit begins as its patient reads it: with the stretch of the day, where one is told."""
    starts_at: datetime = visit.starts_at
    if not visit.shown_window_min:
        return starts_at
    return clock.window_around(starts_at, visit.zone, visit.shown_window_min)[0]


def _ahead(visit: Row[Any], rows: list[Row[Any]], settings: Settings) -> Ahead:
    of_now = [row for row in rows if row.id is not None and row.sequence == visit.visit_sequence]
    told_of_it = [row.created_at for row in of_now if row.event != Event.REMINDER]
    reminders = [row for row in of_now if row.event == Event.REMINDER]
    return Ahead(
        id=visit.visit_id,
        starts_at=_told_start(visit),
        zone=visit.zone,
        since=min(told_of_it, default=visit.booked_at or visit.requested_at),
        is_private=visit.is_private,
        rules=rules_for(settings, visit.visit_type_id, visit.mode),
        waiting={offset_of(row).label: row.due_at for row in reminders if waits(row)},
        told={offset_of(row).label: row.sent_at or row.due_at for row in reminders if has_left(row)},
    )


def offset_of(reminder: Row[Any] | Notification) -> Offset:
    """How long before its visit a reminder comes."""
    return Offset(reminder.facts["before"])


def waits(reminder: Row[Any] | Notification) -> bool:
    """Whether it is to leave, by itself or with another visit's."""
    is_shared = reminder.delivery == Delivery.SUPERSEDED and reminder.detail == SHARED and reminder.sent_at is None
    return bool(reminder.delivery == Delivery.DUE or is_shared)


def has_left(reminder: Row[Any] | Notification) -> bool:
    """Whether it left, alone or with another's, is leaving now, or was tried for long enough."""
    return reminder.sent_at is not None or reminder.delivery in (Delivery.SENDING, Delivery.SENT, Delivery.FAILED)


def _take_back(session: Session, visit: _Visit, slots: dict[tuple[int, str], Slot], why_none: str | None) -> None:
    """Overtake what waits and is not planned any more."""
    for row in visit.reminders:
        is_planned = visit.is_of_now(row) and (visit.row.visit_id, offset_of(row).label) in slots
        if waits(row) and not is_planned:
            _change(session, row, Delivery.SUPERSEDED, why_none or _why_not(visit, row), row.due_at)


def _why_not(visit: _Visit, reminder: Row[Any]) -> str:
    if visit.ahead is None:
        return f"visit_{visit.row.status}"
    if not visit.is_of_now(reminder):
        return "moved"
    return "no_address" if visit.contact_id is None else "replanned"


def _put(session: Session, patient_id: int, visit: _Visit, slots: dict[tuple[int, str], Slot]) -> list[dict[str, Any]]:
    """Change what was written of what is planned; returns the rest of it, to be written."""
    written = {offset_of(row).label: row for row in visit.reminders if visit.is_of_now(row)}
    new = []
    for offset in visit.ahead.rules.offsets if visit.ahead else ():
        slot, row = slots.get((visit.row.visit_id, offset.label)), written.get(offset.label)
        if slot is not None and row is None:
            new.append(_new(patient_id, visit, offset.label, slot))
        elif slot is not None and row is not None:
            _change(session, row, *_state(slot), slot.due_at, visit.contact_id)
    return new


def _state(slot: Slot) -> tuple[Delivery, str | None]:
    return (Delivery.SUPERSEDED, SHARED) if slot.is_shared else (Delivery.DUE, None)


def _new(patient_id: int, visit: _Visit, label: str, slot: Slot) -> dict[str, Any]:
    visit_id, sequence = visit.row.visit_id, visit.row.visit_sequence
    event = f"{Event.REMINDER}-{label}"
    key = ledger.dedupe_key(visit_id, event, sequence, Recipient.PATIENT, patient_id, Channel.EMAIL)
    delivery, detail = _state(slot)
    return ledger.row(key, visit_id, Event.REMINDER, sequence, {"before": label}, slot.due_at) | {
        "recipient": Recipient.PATIENT,
        "patient_id": patient_id,
        "contact_point_id": visit.contact_id,
        "channel": Channel.EMAIL,
        "delivery": delivery,
        "detail": detail,
    }


def _change(
    session: Session,
    row: Row[Any],
    delivery: Delivery,
    detail: str | None,
    due_at: datetime,
    contact_id: int | None = None,
) -> None:
    # A message that is tried again after a pause keeps its pause.
    if (row.delivery, row.due_at) == (delivery, due_at) and (delivery == Delivery.DUE or row.detail == detail):
        return
    values = (delivery, detail, due_at, due_at, contact_id or row.contact_point_id)
    new = {f"new_{name}": value for name, value in zip(_CHANGED, values, strict=True)}
    run(session, _CHANGE, {"row_id": row.id, "was": row.delivery, **new})


def _note_rules(session: Session, visits: Iterable[_Visit]) -> None:
    changed = [
        {"visit_id": visit.ahead.id, "rules": visit.ahead.rules.text}
        for visit in visits
        if visit.ahead and visit.ahead.rules.text != visit.row.reminder_rules
    ]
    if changed:
        run(session, _NOTE_RULES, changed)


def days_of_reminders(session: Session, appointment: Appointment) -> list[date]:
    """On which days the patient will be reminded of a visit.

    Times: days at its place.
    Source: clinic.md 9, page 10.
    """
    assert appointment.location is not None
    query = select(Notification).where(
        Notification.appointment_id == appointment.id,
        Notification.event == Event.REMINDER,
        Notification.sequence == appointment.sequence,
        Notification.due_at > clock.now(),
    )
    zone = appointment.location.zone
    return sorted({clock.local_date(row.due_at, zone) for row in session.scalars(query) if waits(row)})
