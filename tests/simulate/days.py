"""The days of the clinic: one event after the other, each at its instant, and the queue after each."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import count

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import db
from clinic_portal.errors import DomainError
from clinic_portal.models import Appointment, Offer, OfferState, PriorityClass, Status
from clinic_portal.scheduling import booking, queue
from clinic_portal.scheduling.earlier import ask_for_earlier
from clinic_portal.scheduling.handling import reclassify
from clinic_portal.scheduling.holds import close_expired_holds
from clinic_portal.scheduling.offers import accept_offer, decline_offer
from clinic_portal.scheduling.requests import request_appointment
from clinic_portal.scheduling.search import Search
from clinic_portal.scheduling.times import find_free_times
from clinic_portal.scheduling.wishes import DayPart, Wishes, parts_mask
from tests.simulate import watching
from tests.simulate.clinic import FIRST_DAY, KINDS, MEAN_MINUTES, Clinic, offered_minutes, wall
from tests.simulate.watching import Waiting

# Of those who want a visit: who leaves the time to us, and who then wants to be asked first.
ASKS, ASKS_FIRST, IS_SOON = 0.5, 0.3, 0.15
CANCELS, MISSES, WOULD_BE_EARLIER = 0.12, 0.05, 0.3
# Of those who are offered a time; the rest never answers.
TAKES, LEAVES = 0.65, 0.2
# On average, by those who do answer.
ANSWERS_AFTER = timedelta(minutes=45)
OPENS, CLOSES = 8 * 60, 18 * 60
LOOKS_EVERY = timedelta(minutes=30)
WITHIN_DAYS = (1, 2, 5, 10)
MORNINGS = parts_mask((day, DayPart.MORNING) for day in range(7))
TWO_DAYS = parts_mask((day, part) for day in (1, 3) for part in DayPart)
ALL = parts_mask((day, part) for day in range(7) for part in DayPart)


@dataclass
class Story:
    """What happened that the rows do not say by themselves."""

    asked: int = 0
    refused: int = 0
    seatable: int = 0
    overtakes: int = 0
    # Time that was given back, and when.
    freed: list[tuple[int, datetime, datetime]] = field(default_factory=list)


class Days:
    """One run. Everything random comes from the seed, so that the same seed is the same story."""

    def __init__(self, clinic: Clinic, seed: int, load: float, days: int) -> None:
        self.clinic, self.load, self.days = clinic, load, days
        self.chance, self.story = random.Random(seed), Story()
        self._events: list[tuple[datetime, int, Callable[[], None]]] = []
        self._numbers, self._patients = count(), iter(clinic.patients)
        self._answered: set[int] = set()

    def run(self) -> Story:
        for number in range(self.days):
            self._plan(FIRST_DAY + timedelta(days=number))
        while self._events:
            at, _number, act = heapq.heappop(self._events)
            with clock.clock_at(at):
                before = watching.waiting_now(_fresh(), at)
                act()
                self._serve(before, at)
        return self.story

    def _at(self, instant: datetime, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (instant, next(self._numbers), act))

    def _plan(self, day: date) -> None:
        """People come through the day; the sweep looks around; in the evening it is noted who was seen."""
        first, last = wall(day, OPENS), wall(day, CLOSES)
        minutes = self.load * offered_minutes(day) / MEAN_MINUTES
        for _ in range(round(minutes)):
            self._at(first + self.chance.random() * (last - first), self._somebody_comes)
        looks = range(int((last - wall(day, 7 * 60)) / LOOKS_EVERY))
        for number in looks:
            self._at(wall(day, 7 * 60) + LOOKS_EVERY * number, lambda: None)
        self._at(wall(day, 20 * 60), lambda: self._note_outcomes(day))

    # What people do

    def _somebody_comes(self) -> None:
        patient_id = next(self._patients, None)
        if patient_id is None:
            raise RuntimeError("more people came than the clinic has patients: build it with more")
        kind = self.chance.choices(range(len(KINDS)), [kind.share for kind in KINDS])[0]
        self.story.asked += 1
        search = Search(self.clinic.visit_types[kind], patient_id)
        if self.chance.random() < ASKS or not self._reserve(search):
            self._ask(search)

    def _reserve(self, search: Search) -> bool:
        """One of the first times on the page, on a day that suits."""
        today = clock.now().date()
        suits = today + timedelta(days=self.chance.randint(1, 7))
        days = find_free_times(_fresh(), search, suits, self.chance.choice(WITHIN_DAYS))
        offered = [time.starts_at for times in days.values() for time in times][:10]
        if not offered:
            return False
        try:
            visit = booking.reserve_slot(actor=self.clinic.patient, search=search, token=self._token(),
                                         starts_at=self.chance.choice(offered))  # fmt: skip
        except DomainError:
            return False
        self._may_cancel(visit)
        if self.chance.random() < WOULD_BE_EARLIER:
            ask_for_earlier(actor=self.clinic.patient, appointment_id=visit.id, wishes=Wishes(min_warning_min=12 * 60))
        return True

    def _ask(self, search: Search) -> None:
        today = clock.now().date()
        wishes = Wishes(
            from_on=today + timedelta(days=1),
            until_on=today + timedelta(days=self.chance.choice(WITHIN_DAYS)),
            parts=self.chance.choices((ALL, MORNINGS, TWO_DAYS), (50, 25, 25))[0],
            min_warning_min=12 * 60,
            is_ask_first=self.chance.random() < ASKS_FIRST,
        )
        visit = request_appointment(actor=self.clinic.patient, search=search, wishes=wishes, token=self._token())
        if self.chance.random() < IS_SOON:
            reclassify(actor=self.clinic.desk, appointment_id=visit.id, priority=PriorityClass.SOON,
                       reason="simulated")  # fmt: skip

    def _may_cancel(self, visit: Appointment) -> None:
        assert visit.starts_at is not None
        if self.chance.random() < CANCELS:
            left = visit.starts_at - clock.now()
            self._at(clock.now() + left * self.chance.random(), lambda: self._cancel(visit.id))

    def _cancel(self, visit_id: int) -> None:
        visit = _fresh().get_one(Appointment, visit_id)
        if visit.status is not Status.BOOKED or visit.starts_at is None or visit.starts_at <= clock.now():
            return
        assert visit.ends_at is not None
        assert visit.practitioner_id is not None
        freed = (visit.practitioner_id, visit.starts_at, visit.ends_at)
        booking.cancel_appointment(actor=self.clinic.patient, appointment_id=visit_id, token=self._token())
        self.story.freed.append(freed)

    def _answer(self, offer_id: int, takes: bool) -> None:
        offer = _fresh().get_one(Offer, offer_id)
        visit = offer.appointment
        old = (visit.practitioner_id, visit.starts_at, visit.ends_at)
        try:
            (accept_offer if takes else decline_offer)(actor=self.clinic.patient, offer_id=offer_id)
        except DomainError:
            return
        if takes and old[0] is not None and old[1] is not None and old[2] is not None:
            self.story.freed.append((old[0], old[1], old[2]))

    # What the clinic does

    def _serve(self, before: list[Waiting], at: datetime) -> None:
        """What the sweep and the worker do, and what came of it for those who waited."""
        close_expired_holds()
        before = self._with_new(before, at)
        refused = watching.has_refused(_fresh(), before)
        assert queue.drain()
        session = _fresh()
        given = watching.given_since(session, before)
        self.story.overtakes += watching.overtakes(before, given, at, refused - given.keys())
        self._look_at_refused(session, before)
        for id_ in given:
            visit = session.get_one(Appointment, id_)
            if visit.status is Status.BOOKED:
                self._may_cancel(visit)
        self._let_answer(session)

    def _with_new(self, before: list[Waiting], at: datetime) -> list[Waiting]:
        """Also those who have just asked."""
        known = {one.id for one in before}
        return sorted(
            [*before, *(one for one in watching.waiting_now(_fresh(), at) if one.id not in known)],
            key=lambda one: one.place,
        )

    def _look_at_refused(self, session: Session, before: list[Waiting]) -> None:
        """Those who have been put on the list just now: was there really no place?"""
        for one in before:
            if one.is_new:
                request = session.get_one(Appointment, one.id)
                if request.status is Status.WAITLIST:
                    self.story.refused += 1
                    self.story.seatable += watching.was_seatable(session, request, max(WITHIN_DAYS) + 1)

    def _let_answer(self, session: Session) -> None:
        for offer in session.scalars(select(Offer).where(Offer.state == OfferState.OPEN)).all():
            if offer.id in self._answered:
                continue
            self._answered.add(offer.id)
            drawn, after = self.chance.random(), ANSWERS_AFTER * self.chance.expovariate(1)
            if drawn < TAKES + LEAVES and clock.now() + after < offer.expires_at:
                takes = drawn < TAKES
                self._at(clock.now() + after, lambda id_=offer.id, takes=takes: self._answer(id_, takes))

    def _note_outcomes(self, day: date) -> None:
        session = _fresh()
        todays = select(Appointment.id).where(
            Appointment.status == Status.BOOKED, Appointment.starts_at >= wall(day, 0),
            Appointment.starts_at < wall(day, 20 * 60),
        )  # fmt: skip
        for id_ in session.scalars(todays).all():
            if self.chance.random() < MISSES:
                booking.change_status(actor=self.clinic.desk, appointment_id=id_, to=Status.NOSHOW)
                continue
            for to in (Status.ARRIVED, Status.FULFILLED):
                booking.change_status(actor=self.clinic.desk, appointment_id=id_, to=to)

    def _token(self) -> str:
        return f"simulated-{next(self._numbers)}"


def _fresh() -> Session:
    session = db.session()
    session.rollback()
    session.expire_all()
    return session
