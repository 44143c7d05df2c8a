"""Visits that a change of hours would leave outside of them: found, with what can be done, and done as answered.

Nothing is dropped and nothing moved unasked: see `hours.py`, which asks. Source: UC4.3.
"""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from clinic_portal import clock
from clinic_portal.audit import Actor, ActorKind
from clinic_portal.errors import DomainError
from clinic_portal.models import Appointment, Hold, HoldEnd, Practitioner, Status
from clinic_portal.notifications.request_outbox import wake_queue
from clinic_portal.scheduling import claims, session_rows
from clinic_portal.scheduling.assignment import Candidate, find_candidates, place
from clinic_portal.scheduling.booking import carry_out_cancel
from clinic_portal.scheduling.placing import put_elsewhere
from clinic_portal.scheduling.planning import search_of
from clinic_portal.scheduling.requests import ask_again
from clinic_portal.scheduling.search import Terms, load_terms
from clinic_portal.scheduling.strips import strip_over
from clinic_portal.scheduling.times import free_days

DAY = timedelta(days=1)
# The nearest time is looked for this far around the old one.
AROUND_DAYS = 14
# An earlier time is proposed only so far ahead.
WARNED = timedelta(days=1)


class What(enum.StrEnum):
    """What is done with a visit outside the hours."""

    KEEP = "keep"
    # Another practitioner at the same time.
    SAME_TIME = "same"
    # The nearest time with anybody; the answer names the time.
    OTHER_TIME = "other"
    WAITING_LIST = "wait"


@dataclass(frozen=True)
class Answer:
    """What somebody wants done with one visit."""

    what: What
    starts_at: datetime | None = None


@dataclass(frozen=True)
class Stranded:
    """A visit outside the hours, with what can be done about it; free of the database."""

    visit_id: int
    starts_at: datetime
    ends_at: datetime
    zone: str
    place_name: str
    patient_name: str
    visit_type_id: int
    # Who could see the patient at the same time; None when nobody.
    same_time_with: str | None
    # The nearest time with anybody; None within two weeks.
    other_at: datetime | None

    @property
    def proposal(self) -> Answer:
        """What disturbs the patient least: the same time, else the nearest, else the waiting list."""
        if self.same_time_with is not None:
            return Answer(What.SAME_TIME)
        if self.other_at is not None:
            return Answer(What.OTHER_TIME, self.other_at)
        return Answer(What.WAITING_LIST)


def ids_outside(session: Session, practitioner_id: int, grid_min: int) -> set[int]:
    """The visits ahead of a practitioner of which some cell lies in no session."""
    now = clock.now()
    ahead = session.execute(
        select(Appointment.id, Appointment.blocked_from, Appointment.blocked_until).where(
            Appointment.practitioner_id == practitioner_id,
            Appointment.lane == 0,
            Appointment.status == Status.BOOKED,
            Appointment.starts_at > now,
        )
    ).all()
    return {id_ for id_, _low, _high in _uncovered(session, practitioner_id, ahead, grid_min)}


def let_go_of_holds_outside(session: Session, practitioner_id: int, grid_min: int) -> None:
    """Free the times that somebody is choosing just now outside of the hours: nobody is booked into a day off.

    # Race: closing waits for whoever turns such a hold into a visit; that visit is read afterwards.
    """
    now = clock.now()
    kept = session.execute(
        select(Hold.id, Hold.blocked_from, Hold.blocked_until).where(
            Hold.practitioner_id == practitioner_id, Hold.lane == 0, Hold.closed_at.is_(None), Hold.starts_at > now
        )
    ).all()
    outside = {id_ for id_, _low, _high in _uncovered(session, practitioner_id, kept, grid_min)}
    if outside:
        holds = [hold for hold in claims.open_holds(session) if hold.id in outside]
        claims.close_holds(session, holds, now, HoldEnd.RELEASED, grid_min)


def _uncovered(
    session: Session, practitioner_id: int, rows: Iterable[tuple[int, datetime | None, datetime | None]], grid_min: int
) -> Iterator[tuple[int, datetime, datetime]]:
    known = [(id_, low, high) for id_, low, high in rows if low is not None and high is not None]
    if not known:
        return
    first, last = min(low for _, low, _ in known).date(), max(high for _, _, high in known).date()
    strip = strip_over(first, last, grid_min)
    sessions = session_rows.read_rows(session, practitioner_id, strip)
    worked = strip.mask((row.first_cell, row.end_cell) for row in sessions)
    for id_, low, high in known:
        cells = strip.mask([claims.piece_of(low, high, grid_min)])
        if cells & ~worked:
            yield id_, low, high


# By practitioner, the cells that are proposed to somebody already.
Proposed = dict[int, list[claims.Piece]]


def look_at(session: Session, practitioner_id: int, visit_ids: Iterable[int]) -> list[Stranded]:
    """What can be done with each visit, in order; a time that is proposed for one is not proposed for the next."""
    found = select(Appointment).where(Appointment.id.in_(list(visit_ids)))
    eager = joinedload(Appointment.patient), joinedload(Appointment.location)
    visits = session.scalars(found.options(*eager).order_by(Appointment.starts_at, Appointment.id)).all()
    proposed: Proposed = defaultdict(list)
    return [_look_at(session, practitioner_id, visit, proposed) for visit in visits]


def _look_at(session: Session, practitioner_id: int, visit: Appointment, proposed: Proposed) -> Stranded:
    assert visit.starts_at is not None
    assert visit.ends_at is not None
    assert visit.location is not None
    same = other = None
    if visit.patient.deceased_on is None and (terms := _terms(session, visit)) is not None:
        same = _candidate(session, _without(terms, practitioner_id), visit.starts_at, proposed)
        other = _nearest(session, terms, visit.starts_at, proposed)
        if (best := same or (other and other[1])) is not None:
            proposed[best.practitioner_id].append(best.block)
    name = session.get_one(Practitioner, same.practitioner_id).name if same else None
    return Stranded(visit.id, visit.starts_at, visit.ends_at, visit.location.zone, visit.location.name,
                    visit.patient.full_name, visit.visit_type_id, name, other[0] if other else None)  # fmt: skip


def _terms(session: Session, visit: Appointment) -> Terms | None:
    """The clinic's terms for moving a visit, as the desk may; None where the clinic offers no such visits any more."""
    try:
        return load_terms(session, replace(search_of(visit), by=ActorKind.STAFF), keeps_mode=True)
    except DomainError:
        return None


def _without(terms: Terms, practitioner_id: int) -> Terms:
    return replace(terms, doers={id_: doer for id_, doer in terms.doers.items() if id_ != practitioner_id})


def _candidate(session: Session, terms: Terms, starts_at: datetime, proposed: Proposed) -> Candidate | None:
    """Who would see the patient at a time, of those to whom nobody else is proposed then."""
    try:
        candidates = find_candidates(session, terms, starts_at)
    except DomainError:
        return None
    return next((one for one in candidates if not _is_proposed(one, proposed)), None)


def _is_proposed(one: Candidate, proposed: Proposed) -> bool:
    return any(low < one.block[1] and high > one.block[0] for low, high in proposed[one.practitioner_id])


def _nearest(
    session: Session, terms: Terms, starts_at: datetime, proposed: Proposed
) -> tuple[datetime, Candidate] | None:
    low, high = terms.day_range()
    day = clock.local_date(starts_at, terms.told_zone)
    first = max(low, day - timedelta(days=AROUND_DAYS))
    last = min(max(high, day), day + timedelta(days=AROUND_DAYS))
    days = free_days(session, terms, first, max((last - first).days + 1, 1))
    # Nobody is moved to a time of which they may hear too late.
    times = [
        one.starts_at for found in days.values() for one in found
        if one.starts_at > starts_at or terms.now + WARNED <= one.starts_at < starts_at
    ]  # fmt: skip
    # Of two that are as near, the later one: whoever planned to come then can come then.
    for time in sorted(times, key=lambda one: (abs(one - starts_at), -one.timestamp())):
        candidate = _candidate(session, terms, time, proposed)
        if candidate is not None:
            return time, candidate
    return None


def carry_out(session: Session, actor: Actor, practitioner_id: int, visit: Appointment, answer: Answer) -> bool:
    """Do with a visit as answered, inside the caller's transaction; false when that cannot be done any more."""
    if answer.what is What.KEEP:
        return True
    if answer.what is What.WAITING_LIST:
        _to_waiting_list(session, actor, visit)
        return True
    starts_at = visit.starts_at if answer.what is What.SAME_TIME else answer.starts_at
    terms = _terms(session, visit)
    if terms is None or starts_at is None or visit.patient.deceased_on is not None:
        return False
    if answer.what is What.SAME_TIME:
        terms = _without(terms, practitioner_id)
    try:
        placement = place(session, terms, starts_at)
    except DomainError:
        return False
    put_elsewhere(session, actor, visit, placement, "move_with_hours", terms.now)
    return True


def _to_waiting_list(session: Session, actor: Actor, visit: Appointment) -> None:
    """Cancel it for the clinic, and let the queue find another time: first in its class.

    Source: clinic.md 2, item 5: it keeps since when it was asked for, one class higher.
    """
    carry_out_cancel(session, actor, visit, None, action="cancel_with_hours")
    if visit.patient.deceased_on is None:
        ask_again(session, actor, visit)
    wake_queue()
