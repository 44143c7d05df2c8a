"""What must be true of the rows at any moment, looked at now: for the back office, the command line, and after faults.

Each check is worked out from the rows alone; with the code that keeps the laws it shares only the arithmetic of cells
and the question who is due. All read one snapshot, so what others write meanwhile is no fault. Visits and hours that
are over are left out: nobody can be hurt by them any more.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from clinic_portal import audit_seal, clock, jobs, leases
from clinic_portal.database import snapshot
from clinic_portal.models import (
    ACTIVE,
    WAITING,
    Appointment,
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
)
from clinic_portal.scheduling import due, masks
from clinic_portal.scheduling.claims import piece_of
from clinic_portal.settings import load_settings

SHOWN = 20
DAY = timedelta(days=1)
# What is done by itself some seconds later is late after this.
SOON = timedelta(minutes=1)
# A duty of the night may have waited for a machine that was off.
LATE_DUTY = timedelta(minutes=10)
# The last entries only: the whole chain is walked every night and by `verify-audit`.
SEALS = 2_000
OF_VISITS = (Event.BOOKED, Event.MOVED, Event.LENGTHENED, Event.CANCELLED)


class Finding(NamedTuple):
    """Something that is not as it must be: in words without names, with the table and number of the row."""

    words: str
    table: str = ""
    row_id: int = 0


@dataclass
class Check:
    """One law, how many rows were looked at, and the first of those that break it."""

    name: str
    looked_at: int = 0
    count: int = 0
    findings: list[Finding] = field(default_factory=list)

    def add(self, finding: Finding) -> None:
        self.count += 1
        if len(self.findings) < SHOWN:
            self.findings.append(finding)


@dataclass(frozen=True)
class Moment:
    """When one looks, and at what."""

    session: Session
    now: datetime
    grid_min: int


# Says what is wrong; may count what it looks at.
Look = Callable[[Moment, Check], Iterable[Finding]]


def run_checks() -> list[Check]:
    """Look at every law now.

    Times: the present moment. Reads one snapshot and writes nothing.
    """
    with snapshot() as session:
        moment = Moment(session, clock.now(), load_settings(session).number("grid_min"))
        return [_looked(name, look, moment) for name, look in CHECKS]


def _looked(name: str, look: Look, moment: Moment) -> Check:
    check = Check(name)
    for finding in look(moment, check):
        check.add(finding)
    return check


def _double_booked(moment: Moment, check: Check) -> Iterator[Finding]:
    who = (Appointment.practitioner_id, Appointment.lane)
    yield from _overlaps(moment, check, who, Appointment.blocked_from, Appointment.blocked_until)


def _two_visits_at_once(moment: Moment, check: Check) -> Iterator[Finding]:
    yield from _overlaps(moment, check, (Appointment.patient_id,), Appointment.starts_at, Appointment.ends_at)


def _overlaps(moment: Moment, check: Check, who: Any, low: Any, high: Any) -> Iterator[Finding]:
    """Visits that begin before one of the same people that began earlier is over."""
    rows = select(
        Appointment.id,
        low.label("low"),
        func.max(high).over(partition_by=who, order_by=(low, Appointment.id), rows=(None, -1)).label("taken_until"),
    ).where(*_ahead(moment))
    visits = rows.subquery()
    check.looked_at = moment.session.scalar(select(func.count()).select_from(visits)) or 0
    clashing = select(visits.c.id).where(visits.c.taken_until > visits.c.low).order_by(visits.c.id)
    for visit_id in moment.session.scalars(clashing):
        yield Finding("begins while another is not over", Appointment.__tablename__, visit_id)


def _ahead(moment: Moment) -> tuple[ColumnElement[bool], ...]:
    # No visit is longer than a day: with a bound on its start a stretch of the index is read.
    return Appointment.status.in_(ACTIVE), Appointment.starts_at > moment.now - DAY


def _free_time(moment: Moment, check: Check) -> Iterator[Finding]:
    """What a session offers, less visits, less open holds, is free: no more, no less."""
    taken = _taken(moment)
    sessions = select(
        ClinicSession.id, ClinicSession.practitioner_id, ClinicSession.lane, ClinicSession.first_cell,
        ClinicSession.cell_count, ClinicSession.free,
    ).where(ClinicSession.status == SessionStatus.PLANNED, ClinicSession.starts_at > moment.now - DAY)  # fmt: skip
    for row in moment.session.execute(sessions.order_by(ClinicSession.id)):
        check.looked_at += 1
        busy = taken[row.practitioner_id, row.lane].within(row.first_cell, row.cell_count)
        if row.free & busy:
            yield Finding("offers time that is taken", ClinicSession.__tablename__, row.id)
        if ~row.free & ~busy & masks.run(row.cell_count):
            yield Finding("keeps back time that nobody has", ClinicSession.__tablename__, row.id)


class _Pieces:
    """Stretches of cells in order, asked for those that meet a session."""

    def __init__(self) -> None:
        self.pieces: list[tuple[int, int]] = []
        self.longest = 0

    def put(self, pieces: Iterable[tuple[int, int]]) -> None:
        self.pieces = sorted(pieces)
        self.longest = max((end - first for first, end in self.pieces), default=0)

    def within(self, first_cell: int, count: int) -> int:
        """The bits of a session that are covered."""
        found, at = 0, bisect_left(self.pieces, (first_cell - self.longest, 0))
        while at < len(self.pieces) and self.pieces[at][0] < first_cell + count:
            found |= masks.covered(first_cell, count, *self.pieces[at])
            at += 1
        return found


def _taken(moment: Moment) -> dict[tuple[int, int], _Pieces]:
    visits = select(
        Appointment.practitioner_id, Appointment.lane, Appointment.blocked_from, Appointment.blocked_until
    ).where(Appointment.status.in_(ACTIVE), Appointment.blocked_from > moment.now - 2 * DAY)
    open_holds = select(Hold.practitioner_id, Hold.lane, Hold.blocked_from, Hold.blocked_until).where(
        Hold.closed_at.is_(None)
    )
    found: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for statement in (visits, open_holds):
        for row in moment.session.execute(statement):
            found[row.practitioner_id, row.lane].append(piece_of(row.blocked_from, row.blocked_until, moment.grid_min))
    taken: dict[tuple[int, int], _Pieces] = defaultdict(_Pieces)
    for key, pieces in found.items():
        taken[key].put(pieces)
    return taken


def _expired_holds(moment: Moment, check: Check) -> Iterator[Finding]:
    kept = select(Hold.id, Hold.expires_at).where(Hold.closed_at.is_(None))
    for row in moment.session.execute(kept.order_by(Hold.id)):
        check.looked_at += 1
        if row.expires_at < moment.now - SOON:
            yield Finding("is over and still keeps its time", Hold.__tablename__, row.id)


def _requests(moment: Moment, check: Check) -> Iterator[Finding]:
    """Who waits has no time, and an offer exactly when the request says so."""
    open_offers = set(moment.session.scalars(select(Offer.appointment_id).where(Offer.state == OfferState.OPEN)))
    waiting = select(Appointment.id, Appointment.status, Appointment.starts_at).where(Appointment.status.in_(WAITING))
    for row in moment.session.execute(waiting.order_by(Appointment.id)):
        check.looked_at += 1
        if row.starts_at is not None:
            yield Finding("waits and has a time", Appointment.__tablename__, row.id)
        if (row.status is Status.PENDING) != (row.id in open_offers):
            yield Finding("says something else about its offer than there is", Appointment.__tablename__, row.id)


def _queue(moment: Moment, check: Check) -> Iterator[Finding]:
    check.looked_at = 1
    since = due.oldest_due_at(moment.session, moment.now)
    if since is not None and since < moment.now - SOON:
        yield Finding(f"somebody has been due for {_minutes(moment.now - since)} and was not looked at")


def _late_messages(moment: Moment, check: Check) -> Iterator[Finding]:
    """For whom the sender has not come, or not come back. What failed for now has a next try ahead."""
    open_ones = select(Notification.id, Notification.delivery, Notification.next_try_at).where(
        Notification.delivery.in_((Delivery.DUE, Delivery.SENDING))
    )
    for row in moment.session.execute(open_ones.order_by(Notification.id)):
        check.looked_at += 1
        if row.next_try_at < moment.now - SOON:
            words = f"should have left {_minutes(moment.now - row.next_try_at)} ago"
            yield Finding(words, Notification.__tablename__, row.id)


def _untold(moment: Moment, check: Check) -> Iterator[Finding]:
    """Of each state of a booked visit that is ahead its patient is told once, whatever became of the message."""
    told = (
        select(Notification.appointment_id, func.count(Notification.sequence.distinct()).label("states"))
        .where(Notification.recipient == Recipient.PATIENT, Notification.event.in_(OF_VISITS))
        .where(func.coalesce(Notification.detail, "") != "undone")
        .group_by(Notification.appointment_id)
        .subquery()
    )
    visits = (
        select(Appointment.id, Appointment.sequence, func.coalesce(told.c.states, 0).label("states"))
        .outerjoin(told, told.c.appointment_id == Appointment.id)
        .where(Appointment.status == Status.BOOKED, Appointment.starts_at > moment.now)
    )
    for row in moment.session.execute(visits.order_by(Appointment.id)):
        check.looked_at += 1
        if row.states != row.sequence + 1:
            yield Finding(f"has {row.states} messages for {row.sequence + 1} states", Appointment.__tablename__, row.id)


def _audit(moment: Moment, check: Check) -> Iterator[Finding]:
    newest = audit_seal.newest_seal(moment.session)
    found = audit_seal.verify(moment.session, after=max(0, newest.number - SEALS))
    check.looked_at = min(newest.number, SEALS)
    for number, code in found.faults:
        yield Finding(f"seal {number}: {code.replace('_', ' ')}", "audit_entries")
    if waiting := audit_seal.count_unsealed(moment.session, moment.now - SOON):
        yield Finding(f"{waiting} entries are not sealed yet")


def _duties(moment: Moment, check: Check) -> Iterator[Finding]:
    done = leases.done_times(moment.session)
    for duty in jobs.DUTIES:
        check.looked_at += 1
        last = done.get(duty.name)
        if last is None or last < duty.due_before(moment.now) - LATE_DUTY:
            when = "never" if last is None else f"{_minutes(moment.now - last)} ago"
            yield Finding(f"“{duty.name}” was last done {when}")


def _minutes(time: timedelta) -> str:
    minutes = int(time.total_seconds()) // 60
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"


# Each law as the desk reads it.
CHECKS: tuple[tuple[str, Look], ...] = (
    ("No clinician has two appointments at once", _double_booked),
    ("No patient has two appointments at once", _two_visits_at_once),
    ("Free time is what nobody has, no more and no less", _free_time),
    ("Times held for somebody are let go of when they are over", _expired_holds),
    ("Requests have no time yet, and one offer at most", _requests),
    ("The queue has looked at everybody who is due", _queue),
    ("Messages leave when they are due", _late_messages),
    ("Patients are told of every state of their appointments", _untold),
    ("The audit log is sealed and unchanged", _audit),
    ("Everything that happens by itself has happened", _duties),
)
