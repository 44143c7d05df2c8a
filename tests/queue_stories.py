"""A small clinic whose queue everybody pulls at: patients, the desk and the clock, one random step after another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import count
from random import Random
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from clinic_portal import clock, jobs
from clinic_portal.audit import Actor, ActorKind
from clinic_portal.database import db, writing
from clinic_portal.errors import DomainError
from clinic_portal.models import (
    Account,
    Appointment,
    AuditEntry,
    ClinicSession,
    Notification,
    Offer,
    OfferState,
    PractitionerVisitType,
    PriorityClass,
    Status,
    Submission,
    TriageStatus,
    VisitType,
)
from clinic_portal.scheduling import booking, due, earlier, handling, holds, invitations, offers, queue, requests
from clinic_portal.scheduling.due import place_in_line
from clinic_portal.scheduling.search import Search
from clinic_portal.scheduling.times import find_free_times
from clinic_portal.scheduling.wishes import DayPart, Wishes, parts_mask
from clinic_portal.settings import put_setting
from tests.invariants import WAITS, check_invariants
from tests.queue_rules import broken_queue_rules, line, overtaken, unserved
from tests.world import NOW, World, add_patient, add_session, at

OF_THE_QUEUE = ("close expired holds", "serve requests", "escalate requests", "note used invitations")
PEOPLE = 4
MORNINGS = parts_mask([(weekday, DayPart.MORNING) for weekday in range(7)])
# What somebody wishes; most wish the same, so that most stand in each other's way.
WISHES = (
    Wishes(),
    Wishes(),
    Wishes(is_ask_first=True),
    Wishes(is_ask_first=True),
    Wishes(is_ask_first=True, parts=MORNINGS),
    Wishes(parts=MORNINGS),
    Wishes(from_on=date(2026, 3, 5)),
    Wishes(until_on=date(2026, 3, 4)),
    Wishes(min_warning_min=2 * 24 * 60),
)
JUMPS_MIN = (1, 20, 61, 241, 10 * 60, 26 * 60)


@writing
def furnish(session: Session, world: World) -> list[tuple[Actor, int]]:
    """Two doctors of whom one takes longer, visits that somebody looks at first, and four people who want in."""
    session.get_one(VisitType, world.vaccine_id).needs_triage = True
    put_setting(session, "offers_unanswered", 2)
    session.execute(
        update(PractitionerVisitType)
        .where(PractitionerVisitType.practitioner_id == world.diaz_id,
               PractitionerVisitType.visit_type_id == world.check_up_id)
        .values(buffer_after_min=10)
    )  # fmt: skip
    people = [(world.alice, world.alice_id), (world.bob, world.bob_id)]
    for number in range(PEOPLE - len(people)):
        account = Account(email=f"more{number}@example.com", fs_uniquifier=f"m{number}", created_at=NOW)
        session.add(account)
        session.flush()
        patient = add_patient(session, f"More{number}", "Smith", account)
        people.append((Actor(ActorKind.PATIENT, account.id), patient.id))
    return people


def open_first_hours(world: World) -> None:
    """Less time than people: tomorrow, in some days, in more than a week, and some that the clock releases."""
    add_session(world.chen_id, at(9, day=1), at(10, day=1))
    add_session(world.diaz_id, at(9, 30, day=1), at(10, 10, day=1), bookable_from=at(8) + timedelta(minutes=90))
    add_session(world.chen_id, at(14, day=3), at(14, 30, day=3))
    add_session(world.diaz_id, at(9, day=9), at(9, 40, day=9), bookable_from=at(7, day=1))


@dataclass
class Play:
    """The clinic while a story is played, with its own clock. Each step draws all it needs from one seed."""

    world: World
    people: list[tuple[Actor, int]]
    now: datetime = NOW
    tokens: Iterator[int] = field(default_factory=count)
    days: Iterator[int] = field(default_factory=lambda: count(4))
    # By the clients' own account: what they were told is asked for or booked, and what they or the clinic have ended.
    told: set[int] = field(default_factory=set)
    ended: set[int] = field(default_factory=set)
    done: Counter[str] = field(default_factory=Counter)

    def step(self, chance: Random) -> None:
        """Do one of the things that make sense now."""
        waits, booked, offered = self.pick(chance, *WAITS), self.pick(chance, Status.BOOKED), self.open_offers()
        acts: list[Callable[[Random], Any]] = [
            *([self.ask] * 4 + [self.reserve, self.reserve, self.invite, self.open_hours]),
            *([self.change, self.change, self.withdraw, self.triage, self.handle, self.handle] if waits else []),
            *([self.cancel, self.cancel, self.move, self.wish_earlier, self.wish_earlier, self.keep, self.arrive]
              if booked else []),
            *([self.answer] * 4 if offered else []),
            *([self.serve] * 5 + [self.sweep] * 2 + [self.time_passes] * 4),
        ]  # fmt: skip
        act = chance.choice(acts)
        before = _picture()
        try:
            result = act(chance)
        except DomainError as refusal:
            assert _picture() == before, f"{refusal!r} changed something"
            return
        self.done[act.__name__] += result is not None

    # How steps find what they are about.

    def token(self) -> str:
        return f"t{next(self.tokens)}"

    def pick(self, chance: Random, *statuses: Status, **values: Any) -> Appointment | None:
        found = select(Appointment).where(Appointment.status.in_(statuses)).filter_by(**values)
        rows = list(_fresh().scalars(found.order_by(Appointment.id)))
        return chance.choice(rows) if rows else None

    def waiting(self, chance: Random) -> Appointment:
        return self.pick(chance, *WAITS)  # type: ignore[return-value]

    def booked(self, chance: Random) -> Appointment:
        return self.pick(chance, Status.BOOKED)  # type: ignore[return-value]

    def whose(self, visit: Appointment) -> Actor:
        return next(actor for actor, patient_id in self.people if patient_id == visit.patient_id)

    def free(self, search: Search, chance: Random) -> datetime:
        """A time that a page would offer; or one that it would not."""
        days = find_free_times(_fresh(), search, self.now.date(), 12)
        free = [time.starts_at for times in days.values() for time in times]
        return chance.choice(free) if free else at(9, day=1)

    def open_offers(self) -> list[Offer]:
        found = select(Offer).where(Offer.state == OfferState.OPEN).order_by(Offer.id)
        return list(_fresh().scalars(found))

    # What patients do.

    def ask(self, chance: Random) -> Appointment:
        actor, patient_id = chance.choice(self.people)
        type_id = chance.choice((*[self.world.check_up_id] * 3, self.world.vaccine_id))
        wishes, token = chance.choice(WISHES), self.token()

        def send() -> Appointment:
            return requests.request_appointment(
                actor=actor, search=Search(type_id, patient_id), wishes=wishes, token=token
            )

        visit = send()
        self.told.add(visit.id)
        assert chance.random() < 0.8 or send().id == visit.id, "the same form made two requests"
        return visit

    def change(self, chance: Random) -> Appointment:
        visit = self.waiting(chance)
        was = visit.visit_type_id, place_in_line(visit)
        type_id = self.world.vaccine_id if chance.random() < 0.15 else visit.visit_type_id
        changed = requests.change_request(
            actor=self.whose(visit), appointment_id=visit.id, token=self.token(),
            search=Search(type_id, visit.patient_id), wishes=chance.choice(WISHES),
        )  # fmt: skip
        is_same = place_in_line(_fresh().get_one(Appointment, changed.id)) == was[1]
        assert is_same or type_id != was[0], "lost the place in the line"
        return changed

    def withdraw(self, chance: Random) -> None:
        visit = self.waiting(chance)
        requests.withdraw_request(actor=self.whose(visit), appointment_id=visit.id, token=self.token())
        self.ended.add(visit.id)

    def reserve(self, chance: Random) -> Any:
        actor, patient_id = chance.choice(self.people)
        search = Search(self.world.check_up_id, patient_id, account_id=actor.account_id)
        starts_at = self.free(search, chance)
        if chance.random() < 0.3:
            return holds.hold_slot(actor=actor, search=search, starts_at=starts_at)
        visit = booking.reserve_slot(actor=actor, search=search, starts_at=starts_at, token=self.token())
        self.told.add(visit.id)
        return visit

    def cancel(self, chance: Random) -> Appointment:
        visit = self.booked(chance)
        actor = chance.choice((self.world.erin, self.whose(visit)))
        booking.cancel_appointment(actor=actor, appointment_id=visit.id, token=self.token())
        self.ended.add(visit.id)
        return visit

    def move(self, chance: Random) -> Appointment:
        visit = self.booked(chance)
        search = Search(visit.visit_type_id, visit.patient_id, moving_id=visit.id)
        return booking.move_appointment(
            actor=self.whose(visit), appointment_id=visit.id, search=search, starts_at=self.free(search, chance),
            token=self.token(),
        )  # fmt: skip

    def wish_earlier(self, chance: Random) -> Appointment:
        visit = self.booked(chance)
        return earlier.ask_for_earlier(
            actor=self.whose(visit), appointment_id=visit.id, wishes=chance.choice(WISHES)
        )  # fmt: skip

    def keep(self, chance: Random) -> Appointment:
        visit = self.booked(chance)
        return earlier.keep_time(actor=self.whose(visit), appointment_id=visit.id)

    def answer(self, chance: Random) -> Appointment:
        offer = chance.choice(self.open_offers())
        offer_id, was_live = offer.id, offer.is_live(self.now)
        actor = chance.choice((self.world.erin, self.whose(offer.appointment)))
        act = chance.choice((offers.accept_offer, offers.decline_offer))
        visit = act(actor=actor, offer_id=offer_id)
        assert was_live, "an offer that was over was answered"
        assert act(actor=actor, offer_id=offer_id).version == visit.version, "the same answer counted twice"
        return visit

    # What the desk does.

    def triage(self, chance: Random) -> Any:
        visit = self.pick(chance, *WAITS, triage_status=TriageStatus.WAITING)
        if visit is None:
            return None
        priority = chance.choice((PriorityClass.URGENT, PriorityClass.SOON, PriorityClass.ROUTINE))
        return handling.triage_done(actor=self.world.erin, appointment_id=visit.id, priority=priority)

    def handle(self, chance: Random) -> Any:
        visit, erin = self.waiting(chance), self.world.erin
        what, how = {"actor": erin, "appointment_id": visit.id}, chance.randrange(5)
        if how == 0:
            handling.redirect_request(**what, note="Ask your chemist.")
            self.ended.add(visit.id)
            return visit
        if how == 1:
            return handling.reclassify(**what, priority=chance.choice(list(PriorityClass)), reason="It got worse.")
        if how == 2:
            return handling.defer(**what, until=self.now + timedelta(minutes=chance.choice(JUMPS_MIN)))
        if how == 3:
            return handling.resume_request(**what)
        starts_at = self.free(Search(visit.visit_type_id, visit.patient_id, by=erin.kind), chance)
        return handling.place_by_hand(**what, starts_at=starts_at, token=self.token())

    def arrive(self, chance: Random) -> Any:
        visit = self.booked(chance)
        if visit.starts_at is None or visit.starts_at - self.now > timedelta(hours=2):
            return None
        return booking.change_status(actor=self.world.erin, appointment_id=visit.id, to=Status.ARRIVED)

    def invite(self, chance: Random) -> Any:
        is_for_queue, today = chance.random() < 0.5, self.now.date()
        invited = invitations.invite(
            actor=self.world.erin, patient_id=chance.choice(self.people)[1], visit_type_id=self.world.check_up_id,
            due_from=today, due_until=today + timedelta(days=9), token=self.token(), is_for_queue=is_for_queue,
        )  # fmt: skip
        if is_for_queue:
            self.told.add(invited.used_by_appointment_id or 0)
        return invited

    def open_hours(self, chance: Random) -> Any:
        day = next(self.days)
        low = at(9, day=day)
        return (
            add_session(self.world.chen_id, low, low + timedelta(minutes=chance.choice((30, 40)))) if day < 9 else None
        )

    # What happens by itself.

    def time_passes(self, chance: Random) -> None:
        self.now += timedelta(minutes=chance.choice(JUMPS_MIN))

    def serve(self, chance: Random) -> None:
        # As the sweep does: time that a dead hold kept is time that somebody may be waiting for.
        holds.close_expired_holds()
        before = line(db.session(), self.now)
        assert queue.drain()
        assert (due.oldest_due_at(_fresh(), self.now) or self.now) >= self.now, "somebody is due for ever"
        assert not (found := unserved(db.session(), self.now)), found
        assert not (found := overtaken(db.session(), before)), found
        if chance.random() < 0.3:
            versions = _picture()
            assert queue.drain()
            assert _picture() == versions, "a second drain changed something"

    def sweep(self, chance: Random) -> None:
        for duty in jobs.DUTIES:
            if duty.name in OF_THE_QUEUE:
                duty.run()

    # What must be so after each step.

    def check(self) -> None:
        check_invariants(db.session())
        assert not (found := broken_queue_rules(db.session())), "\n".join(found)
        rows = {visit.id: visit.status for visit in _fresh().scalars(select(Appointment))}
        assert set(rows) == self.told, "somebody is lost, or something is there for which nobody has asked"
        assert {id_ for id_, status in rows.items() if status is Status.CANCELLED} == self.ended


def _fresh() -> Session:
    session = db.session()
    session.rollback()
    session.expire_all()
    return session


def _picture() -> tuple[Any, ...]:
    """Enough of the rows to see whether anything was changed."""
    session = _fresh()
    return (
        session.execute(select(ClinicSession.id, ClinicSession.free).order_by(ClinicSession.id)).all(),
        session.execute(select(Appointment.id, Appointment.version).order_by(Appointment.id)).all(),
        session.execute(select(Offer.id, Offer.state).order_by(Offer.id)).all(),
        [session.scalar(select(func.count()).select_from(model)) for model in (Notification, AuditEntry, Submission)],
    )


def tell(world: World, people: list[tuple[Actor, int]], story: list[int]) -> Play:
    """Play the steps one after another, and look at everything after each."""
    play = Play(world, people)
    with clock.clock_at(lambda: play.now):
        for seed in story:
            play.step(Random(seed))
            play.check()
    return play
