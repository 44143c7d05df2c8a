"""One batch of the queue: planned on a picture of the free time, claimed, and written with all that goes with it."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import SYSTEM, Change, record_all
from clinic_portal.database import run, writing
from clinic_portal.models import Appointment, Attempt, Event, Status, TaskKind
from clinic_portal.notifications.calls import overtake_calls
from clinic_portal.notifications.outbox import tell_booked_together
from clinic_portal.notifications.request_outbox import Told, tell_of_requests
from clinic_portal.scheduling import claims
from clinic_portal.scheduling.askers import Asker, read_askers
from clinic_portal.scheduling.assignment import taking_of
from clinic_portal.scheduling.caps import Taking, have_room
from clinic_portal.scheduling.claims import Part
from clinic_portal.scheduling.modes import way_to_meet
from clinic_portal.scheduling.offer_times import BOOK_FIRST
from clinic_portal.scheduling.offering import OfferBook, ToOffer, plan_offer, read_offer_book
from clinic_portal.scheduling.offers import make_offers
from clinic_portal.scheduling.outlook import Outlook
from clinic_portal.scheduling.picture import Picture
from clinic_portal.scheduling.placing import settle, time_of
from clinic_portal.scheduling.planning import NOTHING_FITS, PATIENT_GONE, Found, Nothing, is_unheard, plan
from clinic_portal.scheduling.promises import clinic_zone
from clinic_portal.scheduling.request_rows import close_request_tasks, leave_queue, lock_batch, next_escalation, told
from clinic_portal.scheduling.search import OwnVisit
from clinic_portal.settings import Settings, load_settings
from clinic_portal.tasks import open_task

# How often a batch is planned again because somebody else was faster, before it is left for later.
TRIES = 5
LOST_RACES, FAULT = "lost_races", "fault"
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 1800.0

_ATTEMPTS = insert(Attempt)


@dataclass(frozen=True)
class Outcome:
    """What the plan says about one request."""

    row: Appointment
    what: Found | ToOffer | Nothing


def serve(session: Session, rows: list[Appointment], now: datetime, outlook: Outlook) -> None:
    """Place requests in this order, or write down why not, inside the caller's transaction.

    # Race: others may take what was planned here. Then nothing of the batch is kept, and all of it is planned again on
    # a fresh picture; from the second time on with the sessions locked that were wanted.
    """
    settings = load_settings(session)
    days_back = max(settings.number("min_days_since_same"), *settings.own_numbers("min_days_since_same"), 0)
    askers = read_askers(session, [row.patient_id for row in rows], now, days_back)
    batch = Batch(rows, askers, read_offer_book(session, rows, now), now)
    for turn in range(TRIES):
        outcomes = batch.planned(outlook.picture(session))
        if not outlook.is_fresh and any(_is_news(each) for each in outcomes):
            # That nothing fits is said only after a look at the time as it is now. Whoever knows it already is tried
            # again with whatever opened since.
            outcomes = batch.planned(outlook.renewed(session))
        _clear_dead_holds(session, outcomes, now)
        wanted = _wanted(outcomes)
        if claims.claim_masks(session, wanted, _guard(session, outcomes)):
            _write(session, outcomes, now, settings, turn)
            return
        if turn:
            claims.lock_parts(session, [part for part, _ in wanted])
        outlook.renewed(session)
    _put_off(session, rows, now, LOST_RACES, settings)


@dataclass(frozen=True)
class Batch:
    """Requests in their order, and all that is known of their patients."""

    rows: list[Appointment]
    askers: dict[int, Asker]
    book: OfferBook
    now: datetime

    def planned(self, picture: Picture) -> list[Outcome]:
        """What each gets. Near times go first to those who want to be booked, then to those who want to be asked."""
        # Planned again, nothing of the plan before may be left.
        askers = {
            id_: replace(asker, visits=[*asker.visits], offered=[*asker.offered]) for id_, asker in self.askers.items()
        }
        book = replace(self.book, open_until=dict(self.book.open_until))
        found: dict[int, Outcome] = {}
        postponed = []
        for row in self.rows:
            what = _plan_one(picture, row, askers[row.patient_id], book, self.now)
            if isinstance(what, ToOffer) and what.starts_at < self.now + BOOK_FIRST:
                postponed.append(row)
            else:
                found[row.id] = _taken(picture, row, askers[row.patient_id], book, what)
        for row in postponed:
            what = _plan_one(picture, row, askers[row.patient_id], book, self.now)
            found[row.id] = _taken(picture, row, askers[row.patient_id], book, what)
        return [found[row.id] for row in self.rows]


def _plan_one(
    picture: Picture, row: Appointment, asker: Asker, book: OfferBook, now: datetime
) -> Found | ToOffer | Nothing:
    if row.is_ask_first or row.starts_at is not None:
        return plan_offer(picture, row, asker, now, book)
    return plan(picture, row, asker, now)


def _taken(
    picture: Picture, row: Appointment, asker: Asker, book: OfferBook, what: Found | ToOffer | Nothing
) -> Outcome:
    """Note in the picture that a time is somebody's now, and in what is known of its patient."""
    if isinstance(what, Nothing):
        return Outcome(row, what)
    found = what.found if isinstance(what, ToOffer) else what
    picture.take(found.candidate, taking_of(found.candidate, found.terms))
    if isinstance(what, ToOffer):
        book.open_until[row.patient_id] = what.expires_at
        placement = found.placement()
        asker.offered.append(OwnVisit(row.id, placement.starts_at, placement.ends_at))
    else:
        asker.visits.append(_Booked.of(row, found))
    return Outcome(row, what)


@dataclass(frozen=True)
class _Booked:
    """A visit of this very batch, as the limits and the patient's own time count it."""

    id: int
    visit_type_id: int
    status: Status
    starts_at: datetime
    ends_at: datetime
    is_private: bool
    zone: str

    @classmethod
    def of(cls, row: Appointment, found: Found) -> _Booked:
        placement = found.placement()
        zone = found.terms.zones[placement.location_id]
        return cls(
            row.id, row.visit_type_id, Status.BOOKED, placement.starts_at, placement.ends_at, row.is_private, zone
        )


def _found(outcome: Outcome) -> Found | None:
    if isinstance(outcome.what, ToOffer):
        return outcome.what.found
    return outcome.what if isinstance(outcome.what, Found) else None


def _is_news(outcome: Outcome) -> bool:
    """Whether something will be said, or written down, of a request that finds no time."""
    row, what = outcome.row, outcome.what
    if not isinstance(what, Nothing) or not row.is_request:
        return False
    return row.status is not Status.WAITLIST or row.not_placed_because != what.reason


def _clear_dead_holds(session: Session, outcomes: Iterable[Outcome], now: datetime) -> None:
    for outcome in outcomes:
        found = _found(outcome)
        if found is not None and found.candidate.is_kept:
            placement = found.placement()
            claims.close_dead_holds(session, placement.practitioner_id, placement.blocked_from,
                                    placement.blocked_until, now, found.terms.grid_min)  # fmt: skip


def _wanted(outcomes: Iterable[Outcome]) -> list[tuple[Part, int]]:
    """The cells that the whole batch takes, by session, in the order of their ids."""
    wanted: dict[Part, int] = {}
    for outcome in outcomes:
        if (found := _found(outcome)) is not None:
            for part in found.candidate.parts:
                if mask := part.mask(found.candidate.block):
                    wanted[part] = wanted.get(part, 0) | mask
    return sorted(wanted.items())


def _guard(session: Session, outcomes: Iterable[Outcome]) -> claims.Guard:
    """Whether the practitioners' limits of a day leave room for the whole batch; None where nobody has any."""
    takings = [(found.terms, taking) for each in outcomes if (found := _found(each)) and (taking := _taking(each))]
    if not takings:
        return None
    terms = takings[0][0]
    return lambda: have_room(session, terms, [taking for _, taking in takings])


def _taking(outcome: Outcome) -> Taking | None:
    """What an outcome would add to a day that has a limit; nothing where the visit is on that day already."""
    found, row = _found(outcome), outcome.row
    if found is None:
        return None
    taking = taking_of(found.candidate, found.terms)
    zone = found.terms.zones[found.candidate.location_id]
    is_there = (
        row.starts_at is not None
        and row.practitioner_id == taking.doer.practitioner_id
        and clock.local_date(row.starts_at, zone) == taking.day
    )
    return taking if taking.doer.is_capped and not is_there else None


def _write(session: Session, outcomes: Sequence[Outcome], now: datetime, settings: Settings, lost_races: int) -> None:
    """Everything that goes with the claimed cells."""
    _book(session, [each for each in outcomes if isinstance(each.what, Found)], now, lost_races)
    make_offers(session, [(each.row, each.what) for each in outcomes if isinstance(each.what, ToOffer)], now)
    _let_wait(session, [(each.row, each.what) for each in outcomes if isinstance(each.what, Nothing)], now, settings)


def _book(session: Session, outcomes: Sequence[Outcome], now: datetime, lost_races: int) -> None:
    if not outcomes:
        return
    changes, attempts, rows = [], [], [each.row for each in outcomes]
    for row, found in ((each.row, each.what) for each in outcomes):
        assert isinstance(found, Found)
        before, placement = told(row), found.placement(lost_races)
        way = way_to_meet(row.mode, row.call_number, found.terms.settings)
        for name, value in {**way, **time_of(placement, found.terms.window_min)}.items():
            setattr(row, name, value)
        row.status, row.booked_at, row.version = Status.BOOKED, now, row.version + 1
        leave_queue(row)
        changes.append(Change("place", row, row.patient_id, before, told(row)))
        attempts.append(_attempt(row, now, placement.practitioner_id, placement.candidates, lost_races, None))
    session.flush()
    run(session, _ATTEMPTS, attempts)
    record_all(session, SYSTEM, changes)
    close_request_tasks(session, SYSTEM, [row.id for row in rows], "booked")
    overtake_calls(session, [row.id for row in rows])
    for row, found in ((each.row, each.what) for each in outcomes):
        assert isinstance(found, Found)
        settle(session, row, found.terms.limits.rules.who_may_book)
    tell_booked_together(session, rows)


def _attempt(row: Appointment, now: datetime, practitioner_id: int | None, candidates: int, lost_races: int,
             reason: str | None) -> dict[str, Any]:  # fmt: skip
    return {"appointment_id": row.id, "made_at": now, "practitioner_id": practitioner_id, "candidates": candidates,
            "lost_races": lost_races, "reason": reason}  # fmt: skip


def _let_wait(session: Session, rows: Sequence[tuple[Appointment, Nothing]], now: datetime, settings: Settings) -> None:
    """Keep on the waiting list whoever found nothing: told once, and again when the reason is another one."""
    if not rows:
        return
    tomorrow = _tomorrow(session, now)
    changes, attempts, news = [], [], []
    for row, nothing in rows:
        if not row.is_request:
            # A booked visit stays as it is, and nobody hears that nothing earlier was found.
            row.next_try_at, row.tries = min(nothing.again_at or tomorrow, tomorrow), 0
            continue
        # Whoever waits already hears no more of it.
        is_first, is_news = is_unheard(row), _is_news(Outcome(row, nothing))
        before = told(row)
        row.status, row.not_placed_because = Status.WAITLIST, nothing.reason
        row.next_try_at, row.tries = min(nothing.again_at or tomorrow, tomorrow), 0
        if is_news:
            row.version += 1
            row.escalate_at = next_escalation(row, settings, after=now)
            changes.append(Change("waitlist", row, row.patient_id, before, told(row)))
            attempts.append(_attempt(row, now, None, 0, 0, nothing.reason))
            news.append((row, nothing, is_first))
    session.flush()
    if news:
        run(session, _ATTEMPTS, attempts)
        record_all(session, SYSTEM, changes)
        _tell_of_waiting(session, news, now)


def _tell_of_waiting(session: Session, news: Sequence[tuple[Appointment, Nothing, bool]], now: datetime) -> None:
    for row, nothing, _ in news:
        if nothing.reason != NOTHING_FITS and nothing.again_at is None:
            # No freed time will help: a person has to see what can be done.
            open_task(session, TaskKind.CANNOT_PLACE, patient_id=row.patient_id, appointment_id=row.id, due_at=now,
                      facts={"reason": nothing.reason})  # fmt: skip
    tell_of_requests(
        session,
        [
            Told(row, Event.WAITLISTED, {"alternatives": _plain(nothing)})
            for row, nothing, is_first in news
            if is_first and nothing.reason != PATIENT_GONE and nothing.again_at is None
        ],
    )


def _plain(nothing: Nothing) -> list[tuple[str, int]]:
    return [(starts_at.isoformat(), place) for starts_at, place in nothing.alternatives]


def _tomorrow(session: Session, now: datetime) -> datetime:
    """The next midnight at the clinic: a new day comes within reach."""
    zone = clinic_zone(session)
    return clock.day_bounds(clock.local_date(now, zone), zone)[1]


@writing
def note_fault(session: Session, *, appointment_id: int) -> None:
    """Note that a request could not be served for a fault: it is tried again after a pause, then a person takes over.

    A booked visit that would be earlier is tried again for as long as that may be: its patient has a time.

    Commits: the request; at the end a task and a message to the patient.
    Source: UC1.4.
    """
    rows = [row for row in lock_batch(session, [appointment_id]) if row.is_request or row.wants_earlier]
    _put_off(session, rows, clock.now(), FAULT, load_settings(session))


def _put_off(session: Session, rows: Sequence[Appointment], now: datetime, reason: str, settings: Settings) -> None:
    attempts, changes, given_up = [], [], []
    for row in rows:
        before = told(row)
        row.tries += 1
        row.version += 1
        row.not_placed_because = reason
        row.next_try_at = now + _pause(row.tries)
        if row.is_request and row.tries >= settings.number("queue_tries"):
            row.next_try_at = None
            given_up.append(row)
        attempts.append(_attempt(row, now, None, 0, TRIES if reason == LOST_RACES else 0, reason))
        changes.append(Change("put_off", row, row.patient_id, before, told(row)))
    if not rows:
        return
    session.flush()
    run(session, _ATTEMPTS, attempts)
    record_all(session, SYSTEM, changes)
    for row in given_up:
        open_task(session, TaskKind.CANNOT_PLACE, patient_id=row.patient_id, appointment_id=row.id, due_at=now,
                  facts={"reason": reason, "tries": row.tries})  # fmt: skip
    if given_up:
        tell_of_requests(session, [Told(row, Event.REQUEST_DELAYED) for row in given_up])


def _pause(tries: int) -> timedelta:
    """How long to wait before the next try: longer each time, and never the same for two requests."""
    longest = min(FIRST_PAUSE_S * 2.0 ** min(tries - 1, 16), LONGEST_PAUSE_S)
    return timedelta(seconds=longest * random.uniform(0.75, 1.0))
