"""Whatever is booked, moved, cancelled and set, and however the clock jumps: the right reminders, each once.

What should come is worked out here from the story alone, with plain arithmetic: it is winter, and London has UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random

import pytest
from flask import Flask
from sqlalchemy import event, select

from clinic_portal import clock
from clinic_portal.database import db
from clinic_portal.errors import DomainError
from clinic_portal.links import VisitLink
from clinic_portal.models import Appointment, ContactPoint, Status
from clinic_portal.notifications import delivery
from clinic_portal.notifications.replanning import plan_all
from clinic_portal.profile.reminding import want_reminders
from clinic_portal.scheduling.linked import cancel_by_link, confirm_by_link
from tests.bookings import book, cancel, move
from tests.invariants import check_invariants
from tests.smtp_server import SmtpServer
from tests.world import NOW, World, add_session, at

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
DAYS = range(1, 42)
ACTS = 60


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    with SmtpServer() as server:
        yield server


@pytest.fixture
def app(app: Flask, server: SmtpServer) -> Flask:
    config = app.config["PORTAL"]
    app.config["PORTAL"] = replace(config, smtp_host="127.0.0.1", smtp_port=server.port, smtp_security="none")
    # No power fails in this test.
    event.listen(db.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    return app


@pytest.fixture
def world(world: World) -> World:
    for day in DAYS:
        add_session(world.chen_id, at(7, day=day), at(12, day=day), world.location_id)
        add_session(world.diaz_id, at(12, day=day), at(17, day=day), world.location_id)
    return world


@dataclass
class Period:
    """A visit at one time, from when it was booked or moved there until it was moved away or cancelled."""

    visit: str
    sequence: int
    starts_at: datetime
    since: datetime
    until: datetime = NOW + 1000 * DAY

    def wanted(self) -> list[datetime]:
        """When its reminders should leave, if nothing else is about."""
        found = []
        for days in (3, 1):
            due_at = self.starts_at - days * DAY
            is_inside = due_at < self.since or self.starts_at - self.since < DAY
            if days == 1 and self.starts_at.weekday() == 0:
                due_at = due_at.replace(hour=18, minute=0)
            if due_at.hour < 8:
                due_at = (due_at - DAY).replace(hour=19, minute=45)
            if not is_inside and self.since < due_at < self.until:
                found.append(due_at)
        return found


@dataclass
class Sent:
    """A reminder that left."""

    at: datetime
    names: set[tuple[str, int]]
    text: str


@dataclass
class Story:
    world: World
    server: SmtpServer
    chance: Random
    now: datetime = NOW
    periods: list[Period] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    seen: int = 0
    # From when until when nobody worked, and from when until when no reminders were wanted.
    down: list[tuple[datetime, datetime]] = field(default_factory=list)
    unwanted: list[tuple[datetime, datetime]] = field(default_factory=list)

    def act(self) -> None:
        acts = (self.book, self.book, self.book, self.move, self.cancel, self.by_link, self.wait, self.wait, self.wait,
                self.wait, self.sleep, self.set_back, self.switch, self.plan)  # fmt: skip
        self.chance.choice(acts)()

    def start(self) -> datetime:
        # Often the same days, so that visits meet.
        day = (self.now - NOW).days + self.chance.choice((1, 2, 4, 5, 6, 7))
        return at(self.chance.choice((7, 9, 10, 14, 16)), self.chance.choice((0, 30)), day=day - day % 3 + 1)

    def booked(self) -> list[Appointment]:
        return list(
            db.session().scalars(select(Appointment).filter_by(status=Status.BOOKED, patient_id=self.world.alice_id))
        )

    def period_of(self, visit: Appointment) -> Period:
        return next(each for each in reversed(self.periods) if each.visit == visit.public_id)

    def book(self) -> None:
        try:
            visit = book(self.world, self.start())
        except DomainError:
            return
        assert visit.starts_at is not None
        self.periods.append(Period(visit.public_id, 0, visit.starts_at, self.now))

    def move(self) -> None:
        for visit in self.booked()[:1]:
            try:
                moved = move(self.world, visit, self.start())
            except DomainError:
                return
            assert moved.starts_at is not None
            self.period_of(visit).until = self.now
            self.periods.append(Period(visit.public_id, moved.sequence, moved.starts_at, self.now))

    def cancel(self) -> None:
        for visit in self.booked()[-1:]:
            try:
                cancel(self.world, visit)
            except DomainError:
                return
            self.period_of(visit).until = self.now

    def by_link(self) -> None:
        contact = db.session().scalars(select(ContactPoint).filter_by(patient_id=self.world.alice_id)).one()
        for visit in self.booked()[:1]:
            link = VisitLink(visit.public_id, visit.sequence, contact.public_id)
            try:
                if self.chance.random() < 0.5:
                    confirm_by_link(link=link)
                    return
                cancel_by_link(link=link)
            except DomainError:
                return
            self.period_of(visit).until = self.now

    def wait(self) -> None:
        """Time passes with somebody at work: at each moment at which something could be due, and at some others."""
        until = self.now + self.chance.choice((HOUR, 5 * HOUR, DAY, 2 * DAY))
        moments = {due_at for period in self.periods for due_at in period.wanted() if self.now <= due_at < until}
        moments |= {self.now + HOUR * self.chance.random() * 24 for _ in range(3)}
        for moment in sorted(moment for moment in moments if self.now <= moment < until):
            self.now = moment
            self.deliver()
        self.now = until
        self.deliver()

    def sleep(self) -> None:
        """Nobody works for a while."""
        began, self.now = self.now, self.now + self.chance.choice((HOUR, 3 * HOUR, 20 * HOUR))
        self.down.append((began, self.now))
        self.deliver()

    def set_back(self) -> None:
        """The clock is set back two hours; what is told of meanwhile counts for nothing."""
        self.now -= 2 * HOUR
        self.down.append((self.now, self.now + 2 * HOUR))
        plan_all()
        self.deliver()

    def switch(self) -> None:
        """For a while no reminders are wanted."""
        want_reminders(actor=self.world.alice, patient_id=self.world.alice_id, wanted=False)
        began = self.now
        self.wait()
        want_reminders(actor=self.world.alice, patient_id=self.world.alice_id, wanted=True)
        self.unwanted.append((began, self.now))

    def plan(self) -> None:
        plan_all()

    def deliver(self) -> None:
        before = {visit.public_id: (visit.sequence, visit.starts_at) for visit in self.booked()}
        delivery.deliver_due()
        for mail in self.server.received[self.seen :]:
            if mail.subject.startswith("Reminder"):
                names = {(one, int(two)) for one, two in re.findall(r"/a/([\w-]{16})\.(\d+)\.", mail.plain)}
                self.sent.append(Sent(self.now, names, mail.plain))
                self.check_true(names, before)
        self.seen = len(self.server.received)

    def check_true(self, names: set[tuple[str, int]], before: dict[str, tuple[int, datetime | None]]) -> None:
        """Never for a cancelled or an old time, a past one, at night, or when unwanted."""
        assert names
        for visit, sequence in names:
            assert before.get(visit, (None, None))[0] == sequence, "not the time that stands"
            starts_at = before[visit][1]
            assert starts_at is not None
            assert starts_at > self.now
            assert starts_at - self.now <= 5 * DAY
        night = not 8 <= self.now.hour < 20
        assert not night or min(before[visit][1] for visit, _ in names).hour < 9  # type: ignore[type-var,union-attr]

    def check_once(self) -> None:
        """Never two: of each time one three days and one a day before, half a day apart; and no mail twice."""
        for period in self.periods:
            told = sorted(sent.at for sent in self.sent if (period.visit, period.sequence) in sent.names)
            assert len(told) <= 2, (period, told)
            assert len(told) < 2 or told[1] - told[0] >= 11 * HOUR, (period, told)
        for first, second in pairwise(self.sent):
            if second.at - first.at < 11 * HOUR:
                assert not self._could_share(first, second), (first, second)
        reminders = [each.message_id for each in self.server.received if each.subject.startswith("Reminder")]
        assert len(reminders) == len(set(reminders))

    def _could_share(self, first: Sent, second: Sent) -> bool:
        """Whether all of the second were booked for a day of the first when that left."""
        days = {self._named(name).starts_at.date() for name in first.names}
        return all(
            self._named(name).starts_at.date() in days and self._named(name).since < first.at for name in second.names
        )

    def _named(self, name: tuple[str, int]) -> Period:
        return next(each for each in self.periods if (each.visit, each.sequence) == name)

    def check_all_came(self) -> None:
        """Every visit has the reminders it should have had by now."""
        for period in self.periods:
            for due_at in period.wanted():
                if due_at <= self.now and not self._is_excused(period, due_at):
                    came = [sent for sent in self.sent if (period.visit, period.sequence) in sent.names]
                    assert [each for each in came if due_at - DAY <= each.at <= due_at], (period, due_at, self.sent)

    def _is_excused(self, period: Period, due_at: datetime) -> bool:
        """Nobody was at work, none was wanted, or one about another visit of that day came within half a day."""
        pauses = [*self.down, *self.unwanted]
        if any(began - DAY <= due_at <= ended + DAY for began, ended in pauses):
            return True
        same_day = {each.visit for each in self.periods if each.starts_at.date() == period.starts_at.date()}
        others = {visit for visit in same_day if visit != period.visit}
        near = [sent for sent in self.sent if abs(sent.at - due_at) < DAY / 2 and sent.at >= period.since - 3 * DAY]
        return any(name in others for sent in near for name, _ in sent.names)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 12))])
def test_never_one_for_an_old_time_never_two_and_every_visit_has_its_reminders(
    app: Flask, world: World, server: SmtpServer, seed: int
) -> None:
    story = Story(world, server, Random(seed))
    with clock.clock_at(lambda: story.now):
        for _ in range(ACTS):
            db.session().rollback()
            db.session().expire_all()
            story.act()
            story.check_once()
            story.check_all_came()
        check_invariants(db.session())
    assert story.sent, "a story without reminders shows nothing"
