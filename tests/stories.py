"""Random stories: patients, the desk, the clock and new working hours act on a clinic, one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import count
from random import Random
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor
from clinic_portal.database import db, writing
from clinic_portal.errors import DomainError
from clinic_portal.models import (
    ALL_MODES,
    Appointment,
    AuditEntry,
    AvailabilityException,
    AvailabilityRule,
    ClinicSession,
    ExceptionKind,
    ExceptionStatus,
    Hold,
    HoldKind,
    Mode,
    Notification,
    PractitionerVisitType,
    Status,
    Submission,
    VisitType,
)
from clinic_portal.scheduling import booking, holds
from clinic_portal.scheduling.search import Search
from clinic_portal.scheduling.sessions import refresh_sessions
from clinic_portal.scheduling.times import find_free_times
from clinic_portal.settings import put_setting
from tests.brute_force import by_day, free_starts
from tests.invariants import check_invariants
from tests.world import NOW, ZONE, World, at

TUESDAY, WEDNESDAY = 1, 2
MODES = (Mode.IN_PERSON, Mode.PHONE, Mode.VIDEO)
NUMBER = "07700 900 362"
LOOKED_AT = 4
JUMPS_MIN = (1, 4, 6, 11, 11, 11, 60, 60, 600, 26 * 60)


@writing
def hours_to_play_with(session: Session, world: World) -> None:
    """Two doctors whose visits last differently, with buffers, and whose hours touch: visits lie across them."""
    for name, value in {"sessions_ahead_days": 3, "horizon_days": 2, "minimum_notice_min": 60, "remote_notice_min": 30,
                        "shown_window_min": 60, "video_rooms": "https://video.example/{room}"}.items():  # fmt: skip
        put_setting(session, name, value)
    session.get_one(VisitType, world.check_up_id).modes = ALL_MODES
    session.execute(
        update(PractitionerVisitType)
        .where(PractitionerVisitType.practitioner_id == world.diaz_id)
        .values(duration_new_patient_min=50, duration_min=40, buffer_before_min=5, buffer_after_min=10)
    )
    for practitioner_id, location_id, weekday, starts_min, ends_min, modes in (
        (world.chen_id, world.location_id, TUESDAY, 9 * 60, 10 * 60 + 30, ALL_MODES),
        (world.chen_id, world.location_id, TUESDAY, 10 * 60 + 30, 12 * 60 + 5, ALL_MODES - {Mode.VIDEO}),
        (world.diaz_id, world.location_id, TUESDAY, 6 * 60, 11 * 60, ALL_MODES),
        (world.diaz_id, world.location_id, TUESDAY, 11 * 60, 12 * 60, {Mode.PHONE}),
        (world.diaz_id, world.second_location_id, WEDNESDAY, 9 * 60, 10 * 60 + 30, ALL_MODES),
    ):
        session.add(
            AvailabilityRule(practitioner_id=practitioner_id, location_id=location_id, weekday=weekday,
                             starts_min=starts_min, ends_min=ends_min, valid_from=date(2026, 1, 1),
                             modes=frozenset(modes))
        )  # fmt: skip
    for practitioner_id, kind, starts_min, ends_min in (
        (world.chen_id, ExceptionKind.OFF, 9 * 60 + 40, 10 * 60 + 50),
        (world.chen_id, ExceptionKind.EXTRA, 12 * 60 + 5, 13 * 60),
        (world.diaz_id, ExceptionKind.OFF, 10 * 60, 24 * 60),
    ):
        session.add(
            AvailabilityException(practitioner_id=practitioner_id, kind=kind, status=ExceptionStatus.REQUESTED,
                                  location_id=world.location_id, zone=ZONE, starts_on=at(0, day=TUESDAY).date(),
                                  ends_on=at(0, day=TUESDAY).date(), starts_min=starts_min, ends_min=ends_min)
        )  # fmt: skip


@writing
def _decide(session: Session, number: int) -> int:
    """Approve a change of hours, or take it back; whose hours it changes."""
    wish = session.scalars(select(AvailabilityException).order_by(AvailabilityException.id)).all()[number]
    is_approved = wish.status == ExceptionStatus.APPROVED
    wish.status = ExceptionStatus.REFUSED if is_approved else ExceptionStatus.APPROVED
    return wish.practitioner_id


@dataclass
class Play:
    """The clinic while a story is played, with its own clock. Each act draws all it needs from one seed."""

    world: World
    now: datetime = NOW
    last_holds: dict[str, tuple[int, Search, datetime]] = field(default_factory=dict)
    tokens: Iterator[int] = field(default_factory=count)
    done: int = 0

    def act(self, chance: Random) -> None:
        """Do one of the things that make sense now."""
        booked = self.visits("erin", Status.BOOKED)
        acts: list[Callable[[str, Random], None]] = [
            *([self.reserve] * 4 if len(booked) < 4 else [self.reserve]),
            *([self.move, self.move, self.hold_to_move, self.hold_to_move, self.cancel] if booked else []),
            *([self.book_held] * 3 + [self.let_go] if self.last_holds else []),
            *(self.hold, self.cancel, self.change_status, self.new_hours, self.tidy_up),
            *([self.time_passes] * 2),
        ]
        chance.choice(acts)(chance.choice(("alice", "bob", "erin")), chance)

    def actor(self, who: str) -> Actor:
        return getattr(self.world, who)

    def search(self, who: str, chance: Random, moving: Appointment | None = None) -> Search:
        """Patients look for themselves, the desk for either."""
        patients = {"alice": self.world.alice_id, "bob": self.world.bob_id}
        patient_id = patients.get(who) or chance.choice(list(patients.values()))
        visit_type_id = (
            moving.visit_type_id if moving else chance.choice((self.world.check_up_id, self.world.vaccine_id))
        )
        modes = MODES if visit_type_id == self.world.check_up_id else MODES[:1]
        return Search(
            visit_type_id,
            moving.patient_id if moving else patient_id,
            location_id=chance.choice((None, None, None, self.world.location_id)),
            mode=moving.mode if moving else chance.choice(modes),
            account_id=self.actor(who).account_id,
            moving_id=moving.id if moving else None,
            by=self.actor(who).kind,
        )

    def token(self) -> str:
        return f"token-{next(self.tokens)}"

    def start(self, search: Search, chance: Random, near: datetime | None = None) -> tuple[datetime, bool | None]:
        """A free start mostly, any other one sometimes; and whether the model says that it can be booked.

        All crowd around one instant: where two sessions touch, or where the visit to be moved is.
        """
        near = near or at(10, 30, day=TUESDAY)
        free = free_starts(db.session(), search, self.now)
        if free and chance.random() < 0.75:
            starts_at = chance.choice(sorted(free, key=lambda start: (abs(start - near), start))[:7])
        else:
            starts_at = near + timedelta(minutes=5 * chance.randint(-9, 9))
        return starts_at, self.can_be_booked(search, starts_at)

    def can_be_booked(self, search: Search, starts_at: datetime) -> bool | None:
        """What the model says; None where another time of the hour that a patient is told may do as well."""
        free = free_starts(db.session(), search, self.now)
        if starts_at in free:
            return True
        is_told_the_hour = search.mode is Mode.PHONE and not search.is_by_clinic
        return None if is_told_the_hour and any(near.hour == starts_at.hour for near in free) else False

    def visits(self, who: str, *statuses: Status) -> list[Appointment]:
        """The visits that somebody may reach, in one of these statuses."""
        found = select(Appointment).where(Appointment.status.in_(statuses)).order_by(Appointment.id)
        if who != "erin":
            found = found.where(Appointment.patient_id == (self.world.alice_id, self.world.bob_id)[who == "bob"])
        return list(db.session().scalars(found))

    def visit(self, who: str, chance: Random) -> Appointment | None:
        """Mostly one that is booked, sometimes any."""
        visits = self.visits(who, Status.BOOKED) if chance.random() < 0.85 else []
        visits = visits or self.visits(who, *Status)
        return chance.choice(visits) if visits else None

    def reserve(self, who: str, chance: Random) -> None:
        search = self.search(who, chance)
        starts_at, can_be_booked = self.start(search, chance)
        token = self.token()

        def send() -> Appointment:
            return booking.reserve_slot(
                actor=self.actor(who), search=search, starts_at=starts_at, token=token, call_number=NUMBER
            )

        visit = self.attempt(send, succeeds=can_be_booked)
        if visit is not None and chance.random() < 0.2:
            assert send().id == visit.id, "the same form twice made two visits"

    def hold(self, who: str, chance: Random) -> None:
        search = self.search(who, chance)
        starts_at, can_be_booked = self.start(search, chance)
        self._hold(who, search, starts_at, chance, succeeds=can_be_booked)

    def hold_to_move(self, who: str, chance: Random) -> None:
        visit = self.visit(who, chance)
        if visit is None:
            return
        search = self.search(who, chance, visit)
        starts_at, can_be_booked = self.start(search, chance, visit.starts_at)
        may = visit.status == Status.BOOKED and self._may_move(who, visit)
        # A second hold for one visit may meet the first on the visit's own cells: then either answer is right.
        unsure = self._is_held_by_another(who, visit)
        self._hold(who, search, starts_at, chance, succeeds=None if unsure else may and can_be_booked)

    def _hold(self, who: str, search: Search, starts_at: datetime, chance: Random, *, succeeds: bool | None) -> None:
        kind = HoldKind.STAFF_CALL if who == "erin" else HoldKind.PATIENT_CHECKOUT
        hold = self.attempt(
            lambda: holds.hold_slot(actor=self.actor(who), search=search, starts_at=starts_at, kind=kind),
            succeeds=succeeds,
        )
        if hold is not None:
            self.last_holds[who] = hold.id, search, hold.starts_at
            # Half of them send the form at once; the others do so later, or never.
            if chance.random() < 0.5:
                self.book_held(who, chance)

    def book_held(self, who: str, chance: Random) -> None:
        who = who if who in self.last_holds else next(iter(self.last_holds))
        hold_id, search, starts_at = self.last_holds.pop(who)
        hold = db.session().get_one(Hold, hold_id)
        can_be_booked = self.can_be_booked(search, starts_at)
        # A live hold keeps its promise, also inside the minimum notice or after the hours were changed.
        is_live = hold.closed_at is None and hold.expires_at > self.now and starts_at > self.now
        succeeds = None if is_live and not can_be_booked else can_be_booked
        if search.moving_id is None:
            self.attempt(
                lambda: booking.reserve_slot(
                    actor=self.actor(who),
                    search=search,
                    starts_at=starts_at,
                    token=self.token(),
                    hold_id=hold_id,
                    call_number=NUMBER,
                ),
                succeeds=succeeds,
            )
        else:
            self._move(who, search, starts_at, hold_id, succeeds=succeeds)

    def move(self, who: str, chance: Random) -> None:
        visit = self.visit(who, chance)
        if visit is not None:
            search = self.search(who, chance, visit)
            starts_at, can_be_booked = self.start(search, chance, visit.starts_at)
            self._move(who, search, starts_at, None, succeeds=can_be_booked)

    def _move(
        self, who: str, search: Search, starts_at: datetime, hold_id: int | None, *, succeeds: bool | None
    ) -> None:
        assert search.moving_id is not None
        visit = db.session().get_one(Appointment, search.moving_id)
        may = visit.status == Status.BOOKED and starts_at != visit.starts_at and self._may_move(who, visit)
        self.attempt(
            lambda: booking.move_appointment(
                actor=self.actor(who), appointment_id=visit.id, search=search, starts_at=starts_at,
                token=self.token(), hold_id=hold_id,
            ),
            succeeds=may and succeeds,
        )  # fmt: skip

    def _may_move(self, who: str, visit: Appointment) -> bool:
        assert visit.starts_at is not None
        return who == "erin" or visit.starts_at - self.now >= timedelta(hours=2)

    def _is_held_by_another(self, who: str, visit: Appointment) -> bool:
        others = select(Hold.id).where(
            Hold.appointment_id == visit.id, Hold.closed_at.is_(None), Hold.account_id != self.actor(who).account_id
        )
        return db.session().scalar(others) is not None

    def cancel(self, who: str, chance: Random) -> None:
        visit = self.visit(who, chance)
        if visit is None:
            return
        is_ahead = visit.status == Status.BOOKED and visit.starts_at is not None and visit.starts_at > self.now
        by_desk = who == "erin" and visit.status in (Status.BOOKED, Status.ARRIVED)
        self.attempt(
            lambda: booking.cancel_appointment(actor=self.actor(who), appointment_id=visit.id, token=self.token()),
            succeeds=is_ahead or by_desk,
        )

    def change_status(self, who: str, chance: Random) -> None:
        visits = self.visits("erin", *Status)
        if not visits:
            return
        visit, who = chance.choice(visits), chance.choice((who, "erin", "erin"))
        to = chance.choice((Status.ARRIVED, Status.FULFILLED, Status.NOSHOW, Status.BOOKED, Status.ENTERED_IN_ERROR))
        self.attempt(
            lambda: booking.change_status(actor=self.actor(who), appointment_id=visit.id, to=to),
            succeeds=None if who == "erin" else False,
        )

    def let_go(self, who: str, chance: Random) -> None:
        if who in self.last_holds:
            holds.release_hold(actor=self.actor(who), hold_id=self.last_holds[who][0])

    def new_hours(self, who: str, chance: Random) -> None:
        refresh_sessions(practitioner_id=_decide(chance.randrange(3)))

    def time_passes(self, who: str, chance: Random) -> None:
        self.now += timedelta(minutes=chance.choice(JUMPS_MIN))

    def tidy_up(self, who: str, chance: Random) -> None:
        holds.close_expired_holds()

    def attempt(self, act: Callable[[], Any], *, succeeds: bool | None) -> Any:
        """Do something that may be refused; a refusal is one of the domain's and leaves every row as it was."""
        before = _picture()
        try:
            result = act()
        except DomainError as refusal:
            assert not succeeds, f"refused with {refusal!r} though it was free"
            assert _picture() == before, f"{refusal!r} changed something"
            return None
        assert succeeds is not False, "went through though it should have been refused"
        self.done += 1
        return result


def _picture() -> tuple[Any, ...]:
    """Enough of the rows to see whether anything was changed."""
    session = db.session()
    session.rollback()
    return (
        session.execute(select(ClinicSession.id, ClinicSession.free).order_by(ClinicSession.id)).all(),
        session.execute(select(Appointment.id, Appointment.version).order_by(Appointment.id)).all(),
        session.execute(select(Hold.id, Hold.closed_at).order_by(Hold.id)).all(),
        [session.scalar(select(func.count()).select_from(model)) for model in (Notification, AuditEntry, Submission)],
    )


def tell(world: World, story: list[int]) -> Play:
    """Play the acts one after another, and look at everything after each."""
    play = Play(world)
    with clock.clock_at(lambda: play.now):
        for seed in story:
            chance = Random(seed)
            db.session().rollback()
            db.session().expire_all()
            play.act(chance)
            check_invariants(db.session())
            compare_with_model(_some_search(play, chance), play.now)
    return play


def _some_search(play: Play, chance: Random) -> Search:
    """What a page would look for next: a visit to be moved, anybody at one place, or a patient with an own hold."""
    booked, draw = play.visits("erin", Status.BOOKED), chance.random()
    if booked and draw < 0.4:
        moving = chance.choice(booked)
        return Search(moving.visit_type_id, moving.patient_id, mode=moving.mode, moving_id=moving.id)
    if draw < 0.6:
        return Search(play.world.vaccine_id, location_id=chance.choice((None, play.world.second_location_id)))
    mode = chance.choice(MODES)
    return Search(play.world.check_up_id, play.world.alice_id, mode=mode, account_id=play.world.alice.account_id)


def compare_with_model(search: Search, now: datetime) -> None:
    session, today = db.session(), now.date()
    found = find_free_times(session, search, today, LOOKED_AT)
    listed = {day: [(time.starts_at, sorted(time.location_ids)) for time in times] for day, times in found.items()}
    assert listed == by_day(free_starts(session, search, now), today, LOOKED_AT, ZONE)
