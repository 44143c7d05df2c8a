"""What must be true of the rows at any moment, worked out with plain sets of cells and not with masks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal.models import (
    Appointment,
    Attempt,
    AuditEntry,
    AuditValues,
    ClinicSession,
    Delivery,
    Event,
    Hold,
    Notification,
    Offer,
    OfferState,
    Recipient,
    SessionStatus,
    Status,
    Submission,
    TriageStatus,
    VisitInvitation,
)
from clinic_portal.settings import load_settings

KEEPS_ITS_TIME = {Status.BOOKED, Status.ARRIVED, Status.FULFILLED, Status.NOSHOW}
# What raises the sequence, and so must reach calendars.
TOLD = {"move", "move_with_hours", "accept_earlier", "lengthen", "cancel", "cancel_with_hours", "enter_in_error"}
# Takes such a step back before anybody has heard of it.
UNTOLD = {"put_back"}
# How a visit or a request begins, what gives it a time, and which of all comes as a form.
BEGINS = {"reserve", "request", "request_for", "request_again"}
TAKES_TIME = {"reserve", "choose_time", "move", "move_with_hours", "place", "place_by_hand", "accept", "accept_earlier"}
BY_FORM = {"reserve", "choose_time", "request", "move", "cancel", "change_request", "withdraw", "place_by_hand"}
# What the ledger tells about a visit that has a time, once for each sequence.
OF_VISITS = {Event.BOOKED, Event.MOVED, Event.LENGTHENED, Event.CANCELLED}
WAITS = {Status.PROPOSED, Status.PENDING, Status.WAITLIST}


def check_invariants(session: Session) -> None:
    """Fail with everything that is wrong."""
    assert not (found := broken_invariants(session)), "\n".join(found)


def broken_invariants(session: Session) -> list[str]:
    """Everything that is wrong with the rows, read afresh."""
    session.rollback()
    session.expire_all()
    visits = list(session.scalars(select(Appointment).order_by(Appointment.id)))
    found = [
        *_masks(session, visits),
        *_overlaps("lane", [((v.practitioner_id, v.lane), v.blocked_from, v.blocked_until) for v in _kept(visits)]),
        *_overlaps("patient", [(v.patient_id, v.starts_at, v.ends_at) for v in _kept(visits)]),
        *_history(session, visits),
        *_messages(session, visits),
        *_requests(session, visits),
    ]
    session.rollback()
    return found


def cells(low: datetime, high: datetime, grid_min: int) -> set[int]:
    """The numbers of the grid cells from one instant to another."""
    step = grid_min * 60
    assert low.timestamp() % step == high.timestamp() % step == 0, f"{low} or {high} is off the grid"
    return set(range(int(low.timestamp()) // step, int(high.timestamp()) // step))


def _kept(visits: Iterable[Any]) -> list[Any]:
    return [visit for visit in visits if visit.status in KEEPS_ITS_TIME]


def taken_cells(session: Session, visits: list[Appointment], grid_min: int) -> dict[tuple[int, int], set[int]]:
    """By practitioner and lane: cells of visits that keep their time, and of holds nobody has closed."""
    taken: dict[tuple[int, int], set[int]] = defaultdict(set)
    for visit in _kept(visits):
        taken[visit.practitioner_id, visit.lane] |= cells(visit.blocked_from, visit.blocked_until, grid_min)
    for hold in session.scalars(select(Hold).where(Hold.closed_at.is_(None))):
        taken[hold.practitioner_id, hold.lane] |= cells(hold.blocked_from, hold.blocked_until, grid_min)
    return taken


def _masks(session: Session, visits: list[Appointment]) -> Iterator[str]:
    """Free is what a session offers, less visits, less open holds: no more, no less."""
    grid_min = load_settings(session).number("grid_min")
    taken = taken_cells(session, visits, grid_min)
    hours = []
    for row in session.scalars(select(ClinicSession)):
        offered = cells(row.starts_at, row.ends_at, grid_min)
        if (min(offered), len(offered)) != (row.first_cell, row.cell_count):
            yield f"session {row.id}: instants and cells differ"
        free = {min(offered) + bit for bit in range(64) if row.free >> bit & 1}
        expected = offered - taken[row.practitioner_id, row.lane]
        if free != expected:
            yield (
                f"session {row.id} of practitioner {row.practitioner_id}: free though taken {sorted(free - expected)}, "
                f"taken by nobody {sorted(expected - free)}"
            )
        if row.status == SessionStatus.PLANNED:
            hours.append(((row.practitioner_id, row.lane), row.starts_at, row.ends_at))
    yield from _overlaps("session", hours)


def _overlaps(what: str, spans: Iterable[tuple[Any, datetime, datetime]]) -> Iterator[str]:
    by_key: dict[Any, list[tuple[datetime, datetime]]] = defaultdict(list)
    for key, low, high in spans:
        by_key[key].append((low, high))
    for key, group in by_key.items():
        for before, after in pairwise(sorted(group)):
            if before[1] > after[0]:
                yield f"{what} {key}: {before} and {after} overlap"


def _history(session: Session, visits: list[Appointment]) -> Iterator[str]:
    """Each visit tells its story without a gap: one audit entry a version, one submission a form, one try a time."""
    story: dict[int, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    entries = select(AuditEntry, AuditValues).join(AuditValues).where(AuditEntry.subject_type == "appointments")
    for entry, values in session.execute(entries.order_by(AuditEntry.id)):
        story[entry.subject_id].append((entry.action, values.after))
    forms = _forms(session)
    tries: dict[int, int] = defaultdict(int)
    for attempt in session.scalars(select(Attempt)):
        tries[attempt.appointment_id] += attempt.practitioner_id is not None
    for visit in visits:
        actions = [action for action, _ in story[visit.id]]
        if [after["version"] for _, after in story[visit.id]] != list(range(1, visit.version + 1)):
            yield f"visit {visit.id}: version {visit.version} after {actions}"
        if visit.sequence != sum((action in TOLD) - (action in UNTOLD) for action in actions):
            yield f"visit {visit.id}: sequence {visit.sequence} after {actions}"
        if [action for action in actions if action in BEGINS] != actions[:1]:
            yield f"visit {visit.id}: does not begin once in {actions}"
        # The link in a mail cancels once only, so it has no form to tell from another.
        by_form = [action for action, after in story[visit.id] if after.get("via") != "link"]
        if forms.pop(visit.id, 0) != sum(action in BY_FORM for action in by_form):
            yield f"visit {visit.id}: its submissions do not match {actions}"
        if tries.pop(visit.id, 0) != sum(action in TAKES_TIME for action in actions):
            yield f"visit {visit.id}: its tries do not match {actions}"
    yield from (f"{count} submissions for no visit ({result})" for result, count in forms.items())


def _forms(session: Session) -> Counter[int | None]:
    """How many forms made or changed each visit; those that made invitations are told apart by nothing but that."""
    # What changes hours makes no visit.
    of_visits = (~Submission.token.startswith("hours-"), ~Submission.token.startswith("absence-"))
    forms = Counter(session.scalars(select(Submission.result_id).where(*of_visits)))
    forms.subtract(session.scalars(select(VisitInvitation.id)))
    return Counter({id_: count for id_, count in forms.items() if count})


def _messages(session: Session, visits: list[Appointment]) -> Iterator[str]:
    """The patient is told each thing once: of the booking always, of every later step while the visit is ahead."""
    told: dict[int, list[int]] = defaultdict(list)
    for row in session.scalars(select(Notification).where(Notification.recipient == Recipient.PATIENT)):
        if row.event in OF_VISITS and row.detail != "undone":
            told[row.appointment_id].append(row.sequence)
        if row.delivery == Delivery.DUE and row.contact_point_id is None:
            yield f"message {row.id} is due to nowhere"
    for visit in (visit for visit in visits if visit.booked_at is not None):
        sequences = sorted(told[visit.id])
        if sequences != sorted(set(sequences)) or not set(sequences) <= set(range(visit.sequence + 1)):
            yield f"visit {visit.id}: messages {sequences} at sequence {visit.sequence}"
        if not sequences or (visit.status == Status.BOOKED and len(sequences) != visit.sequence + 1):
            yield f"visit {visit.id}: not everything was told, only {sequences} of {visit.sequence}"


def _requests(session: Session, visits: list[Appointment]) -> Iterator[str]:
    """A request has no time, one offer at most, and never two for one patient and type; an offer keeps its time."""
    open_offers = list(session.scalars(select(Offer).where(Offer.state == OfferState.OPEN)))
    offered = [offer.appointment_id for offer in open_offers]
    waiting = [visit for visit in visits if visit.status in WAITS]
    kinds = [(visit.patient_id, visit.visit_type_id) for visit in waiting]
    if len(kinds) != len(set(kinds)):
        yield f"a patient asks twice for the same: {sorted(kinds)}"
    if len(open_offers) != len({offer.patient_id for offer in open_offers}):
        yield "a patient has two offers at once"
    for visit in waiting:
        if visit.starts_at is not None or visit.practitioner_id is not None:
            yield f"request {visit.id}: has a time"
        if (visit.status == Status.PENDING) != (visit.id in offered):
            yield f"request {visit.id}: {visit.status}, offers {offered.count(visit.id)}"
    for offer in open_offers:
        if (offer.hold.appointment_id, offer.hold.starts_at) != (offer.appointment_id, offer.starts_at):
            yield f"offer {offer.id}: its hold keeps something else"
    yield from _past_requests(visits)


def _past_requests(visits: list[Appointment]) -> Iterator[str]:
    """What waits no more is not in the queue, and what a person had to look at first was looked at."""
    for visit in visits:
        if visit.status not in WAITS and visit.next_try_at is not None and not visit.wants_earlier:
            yield f"visit {visit.id}: {visit.status} and still in the queue"
        if visit.triage_status is TriageStatus.WAITING and visit.status not in (*WAITS, Status.CANCELLED):
            yield f"visit {visit.id}: {visit.status} though nobody has looked at it"
