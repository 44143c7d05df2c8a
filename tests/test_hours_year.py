"""A year in which hours change, days are taken off and places close, while patients book, hold and cancel.

After every step the free times equal those worked out the slow way, the sessions are those that the rules mean, and
nobody who was booked is lost: each visit stands where it was put, or was cancelled because somebody said so.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import db, writing
from clinic_portal.errors import DomainError, InvalidRequest, VisitsOutside
from clinic_portal.models import (
    ACTIVE,
    Appointment,
    Audience,
    AvailabilityException,
    Closure,
    ExceptionKind,
    ExceptionStatus,
    Location,
    ReleasePolicy,
    RuleKind,
)
from clinic_portal.scheduling import booking, holds, hours
from clinic_portal.scheduling.blocks import Away, Block
from clinic_portal.scheduling.hours_changes import EndAway, WeekChange
from clinic_portal.scheduling.search import Search
from clinic_portal.scheduling.sessions import SessionChanges, refresh_sessions
from clinic_portal.scheduling.stranded import Answer, What
from clinic_portal.scheduling.times import find_free_times
from clinic_portal.settings import put_setting
from tests.brute_force import by_day, free_starts
from tests.invariants import check_invariants
from tests.world import World

# Places whose clocks change at different times, by an hour and by half of one.
ZONES = ["Europe/London", "America/New_York", "Australia/Lord_Howe"]
STEPS = 60
BEGIN = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
_tokens = (f"hours-{number}" for number in count())
_forms = (f"visit-{number}" for number in count())


@writing
def move_clinic(session: Session, zone: str) -> None:
    for location in session.scalars(select(Location)):
        location.zone = zone
    put_setting(session, "sessions_ahead_days", 21)
    put_setting(session, "horizon_days", 14)


@dataclass
class Year:
    """What happens, and what is known of everybody who was booked."""

    world: World
    zone: str
    dice: random.Random
    now: datetime = BEGIN
    booked: set[int] = field(default_factory=set)
    changes: int = 0
    asked: int = 0

    def step(self) -> None:
        self.now += timedelta(days=self.dice.randint(3, 9), hours=self.dice.randint(0, 9))
        with clock.clock_at(self.now):
            for practitioner_id in (self.world.chen_id, self.world.diaz_id):
                refresh_sessions(practitioner_id=practitioner_id)
            for act in self.dice.choices([self.book, self.hold, self.cancel], [6, 2, 1], k=5):
                act()
            act = self.dice.choice([self.change_week, self.change_week, self.take_off, self.add_extra, self.close,
                                    self.take_back])  # fmt: skip
            try:
                act({})
                self.changes += 1
            except VisitsOutside as error:
                self.asked += 1
                self.answer(act, error)
            except InvalidRequest:
                db.session().rollback()
            self.check()

    # What patients do

    def book(self) -> None:
        if (starts_at := self.free_time()) is not None:
            visit = booking.reserve_slot(actor=self.world.alice, search=self.search(), starts_at=starts_at,
                                         token=next(_forms))  # fmt: skip
            self.booked.add(visit.id)

    def hold(self) -> None:
        if (starts_at := self.free_time()) is not None:
            holds.hold_slot(actor=self.world.alice, search=self.search(), starts_at=starts_at)

    def cancel(self) -> None:
        ahead = db.session().scalars(
            select(Appointment.id).where(Appointment.id.in_(self.booked), Appointment.starts_at > self.now)
        ).all()  # fmt: skip
        if ahead:
            gone = self.dice.choice(ahead)
            booking.cancel_appointment(actor=self.world.alice, appointment_id=gone, token=next(_forms))
            self.booked.discard(gone)

    def search(self) -> Search:
        return Search(self.world.check_up_id, self.world.alice_id, account_id=self.world.accounts["alice"])

    def free_time(self) -> datetime | None:
        days = find_free_times(db.session(), self.search(), self.today(), 14)
        times = [one.starts_at for found in days.values() for one in found]
        return self.dice.choice(times) if times else None

    def today(self) -> date:
        return clock.local_date(self.now, self.zone)

    # What the clinic does

    def someday(self) -> date:
        return self.today() + timedelta(days=self.dice.randint(0, 12))

    def change_week(self, answers: hours.Answers) -> None:
        dice, whose = random.Random(f"{self.now}"), self.whose()
        rules = hours.rules_of(db.session(), whose, self.today())
        gone = dice.sample(rules, min(len(rules), dice.choice([0, 1, 1, 2])))
        first = self.today() + timedelta(days=dice.randint(0, 7))
        adds = [self.block(dice, first) for _ in range(dice.choice([1, 1, 2]))]
        ends = {rule.id: first - timedelta(days=1) for rule in gone}
        hours.change_hours(actor=self.world.erin, practitioner_id=whose, change=WeekChange(ends, adds),
                           token=next(_tokens), answers=answers)  # fmt: skip

    def block(self, dice: random.Random, first: date) -> Block:
        starts = dice.randrange(0, 1440, 30)
        policy = dice.choice([ReleasePolicy.AT_ONCE] * 3 + [ReleasePolicy.DAYS_BEFORE, ReleasePolicy.HOURS_BEFORE])
        return Block(
            location_id=dice.choice([self.world.location_id, self.world.second_location_id]),
            weekday=dice.randrange(7), starts_min=starts, ends_min=starts + dice.randrange(60, 600, 5),
            valid_from=first, valid_until=dice.choice([None, None, first + timedelta(days=60)]),
            kind=dice.choice([RuleKind.CLINIC] * 5 + [RuleKind.BREAK]), every_n_weeks=dice.choice([1, 1, 1, 2]),
            anchor_on=first, audience=dice.choice([Audience.PUBLIC] * 5 + [Audience.STAFF]), release_policy=policy,
            release_before=dice.randint(0, 3) if policy is not ReleasePolicy.AT_ONCE else 0, release_at_min=420,
        )  # fmt: skip

    def take_off(self, answers: hours.Answers) -> None:
        self.add_away(ExceptionKind.OFF, None, answers)

    def add_extra(self, answers: hours.Answers) -> None:
        self.add_away(ExceptionKind.EXTRA, self.world.location_id, answers)

    def add_away(self, kind: ExceptionKind, location_id: int | None, answers: hours.Answers) -> None:
        dice = random.Random(f"{self.now}")
        first = self.today() + timedelta(days=dice.randint(0, 12))
        last = first + timedelta(days=dice.choice([0, 0, 1, 6]) if kind is ExceptionKind.OFF else 0)
        starts = dice.randrange(0, 1200, 30)
        away = Away(kind, self.zone, first, starts, last, dice.randrange(starts + 30, 1441, 30), location_id)
        hours.change_hours(actor=self.world.erin, practitioner_id=self.whose(), change=away, token=next(_tokens),
                           answers=answers)  # fmt: skip

    def close(self, answers: hours.Answers) -> None:
        dice = random.Random(f"{self.now}")
        first = self.today() + timedelta(days=dice.randint(1, 12))
        hours.add_closure(
            actor=self.world.erin, name="Closed", first_on=first, last_on=first + timedelta(days=dice.randint(0, 1)),
            location_id=dice.choice([None, self.world.second_location_id]), token=next(_tokens), answers=answers,
        )  # fmt: skip

    def take_back(self, answers: hours.Answers) -> None:
        closures = db.session().scalars(select(Closure).where(Closure.first_on > self.today())).all()
        if closures and random.Random(f"{self.now}").random() < 0.5:
            hours.end_closure(actor=self.world.erin, closure_id=closures[0].id)
            return
        live = select(AvailabilityException).filter_by(status=ExceptionStatus.APPROVED, practitioner_id=self.whose())
        ahead = db.session().scalars(live.where(AvailabilityException.ends_on >= self.today())).all()
        if ahead:
            hours.change_hours(actor=self.world.erin, practitioner_id=self.whose(), change=EndAway(ahead[0].id),
                               token=next(_tokens), answers=answers)  # fmt: skip

    def whose(self) -> int:
        return random.Random(f"who {self.now}").choice([self.world.chen_id, self.world.diaz_id])

    def answer(self, act: object, error: VisitsOutside) -> None:
        """Answer for each visit, as proposed or otherwise, until the change is carried out."""
        answers = {}
        for one in error.facts["visits"]:
            waits, keeps = Answer(What.WAITING_LIST), Answer(What.KEEP)
            answers[one.visit_id] = self.dice.choice([one.proposal, one.proposal, waits, keeps])
        try:
            act(answers)  # type: ignore[operator]
        except VisitsOutside as again:
            # Two were given the same time: nothing has changed.
            answers |= {visit_id: Answer(What.WAITING_LIST) for visit_id in again.facts["unanswered"]}
            act(answers)  # type: ignore[operator]
        self.changes += 1
        db.session().rollback()
        for visit_id, given in answers.items():
            if given.what is What.WAITING_LIST:
                self.booked.discard(visit_id)

    # What must hold

    def check(self) -> None:
        session = db.session()
        session.rollback()
        for practitioner_id in (self.world.chen_id, self.world.diaz_id):
            again = refresh_sessions(practitioner_id=practitioner_id)
            assert again == SessionChanges(again.kept, 0, 0, 0, 0), "the sessions are those that the rules mean"
        kept = set(session.scalars(select(Appointment.id).where(Appointment.status.in_(ACTIVE))))
        assert kept == self.booked, "nobody is lost, and nobody is booked twice"
        found = find_free_times(session, self.search(), self.today(), 10)
        model = by_day(free_starts(session, self.search(), self.now), self.today(), 10, self.zone)
        assert {day: [one.starts_at for one in times] for day, times in found.items()} == {
            day: [one[0] for one in times] for day, times in model.items()
        }
        check_invariants(session)


@pytest.mark.slow
@pytest.mark.parametrize("zone", ZONES)
def test_a_year_of_changes_loses_nobody_and_shows_what_is_free(any_world: World, zone: str) -> None:
    move_clinic(zone)
    year = Year(any_world, zone, random.Random(zone))
    try:
        for _ in range(STEPS):
            year.step()
    except (AssertionError, DomainError) as error:
        error.add_note(f"at {year.now}, after {year.changes} changes, {len(year.booked)} booked")
        raise
    assert year.now - BEGIN > timedelta(days=300)
    assert year.today() > date(2026, 11, 2), "both changes of the clock lie behind"
    assert year.changes > STEPS / 2
    assert year.asked > STEPS / 10, "some changes had visits in their way"
