"""A session runs late: who is told so, once in half an hour, by whomever it was said, and only while it is true."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor
from clinic_portal.database import db, writing
from clinic_portal.models import (
    Appointment,
    ClinicSession,
    ContactPoint,
    Delivery,
    Event,
    Mode,
    Notification,
    Patient,
    Status,
)
from clinic_portal.notifications import delivery, letters, messages
from clinic_portal.notifications.facts import Overtaken
from clinic_portal.scheduling.booking import change_status
from clinic_portal.scheduling.running import run_late
from clinic_portal.settings import put_setting
from tests.bookings import book, cancel
from tests.invariants import check_invariants
from tests.world import World, add_session, at


@pytest.fixture
def session_id(world: World) -> int:
    """Dr Chen works from nine to twelve today; it is eight."""
    return add_session(world.chen_id, at(9), at(12), world.location_id)


@writing
def change(session: Session, what: Callable[[Session], None]) -> None:
    what(session)


def late(world: World, session_id: int, minutes: int, now: datetime, actor: Actor | None = None) -> None:
    with clock.clock_at(now):
        run_late(actor=actor or world.erin, session_id=session_id, late_min=minutes)


def lateness(visit: Appointment | None = None) -> list[Notification]:
    """What was written about running late, read afresh, oldest first."""
    session = db.session()
    session.rollback()
    session.expire_all()
    rows = select(Notification).filter_by(event=Event.RUNNING_LATE).order_by(Notification.id)
    return list(session.scalars(rows if visit is None else rows.filter_by(appointment_id=visit.id)))


def letter(row: Notification, now: datetime) -> letters.AnyLetter:
    with clock.clock_at(now):
        return letters.read_letter(db.session(), row.id)


def plain(row: Notification, now: datetime) -> str:
    """The words of the mail, subject first."""
    with clock.clock_at(now):
        mail = messages.compose(letter(row, now))
    part = mail.get_body(("plain",))
    assert part is not None
    assert [each.get_content_type() for each in mail.walk() if "calendar" in each.get_content_type()] == []
    return f"{mail['Subject']}\n{part.get_content()}"


def test_those_who_are_still_to_come_are_told_and_nobody_else(world: World, session_id: int) -> None:
    add_session(world.diaz_id, at(9), at(12), world.location_id)
    gone, here = book(world, at(9), actor=world.erin), book(world, at(9, 30), patient_id=world.bob_id, actor=world.erin)
    ahead = book(world, at(11))
    called_off = book(world, at(10, 30), patient_id=world.bob_id, actor=world.erin)
    # Sessions are alike: whoever got Dr Diaz is not told of Dr Chen.
    of_diaz = [visit.id for visit in (gone, here, ahead, called_off) if visit.practitioner_id == world.diaz_id]
    cancel(world, called_off)
    with clock.clock_at(at(9, 20)):
        change_status(actor=world.erin, appointment_id=here.id, to=Status.ARRIVED)
    late(world, session_id, 40, at(9, 20))
    told = {row.appointment_id for row in lateness()}
    assert told == {ahead.id} - set(of_diaz)
    assert [(row.delivery, row.due_at) for row in lateness()] == [(Delivery.DUE, at(9, 20))] * len(told)
    check_invariants(db.session())


def test_the_doctor_says_it_by_the_same_service(world: World, session_id: int) -> None:
    visit = book(world, at(10))
    late(world, session_id, 40, at(8, 30), actor=world.chen)
    assert len(lateness(visit)) == 1


@pytest.mark.parametrize(("least", "minutes", "is_told"), [(30, 25, False), (30, 30, True), (0, 240, False)])
def test_from_how_many_minutes_is_the_clinics_to_say(
    world: World, session_id: int, least: int, minutes: int, is_told: bool
) -> None:
    book(world, at(10))
    change(lambda session: put_setting(session, "late_message_min", least))
    late(world, session_id, minutes, at(8, 30))
    assert bool(lateness()) is is_told


def test_it_is_told_once_in_half_an_hour_and_then_as_it_is(world: World, session_id: int) -> None:
    visit = book(world, at(11))
    late(world, session_id, 30, at(9))
    late(world, session_id, 30, at(9, 2))
    late(world, session_id, 25, at(9, 4))
    late(world, session_id, 45, at(9, 10))
    late(world, session_id, 60, at(9, 15))
    assert [row.due_at for row in lateness(visit)] == [at(9), at(9, 30)]
    assert "about 60 minutes late" in plain(lateness(visit)[1], at(9, 30))
    late(world, session_id, 90, at(10, 5))
    assert [row.due_at for row in lateness(visit)][2:] == [at(10, 5)]


def test_what_is_told_in_a_while_is_told_to_nobody_whose_visit_has_begun(world: World, session_id: int) -> None:
    soon, ahead = book(world, at(9, 15), actor=world.erin), book(world, at(11))
    late(world, session_id, 30, at(9))
    late(world, session_id, 45, at(9, 5))
    assert [len(lateness(visit)) for visit in (soon, ahead)] == [1, 2]


def test_the_mail_says_how_late_with_whom_and_to_come_all_the_same(world: World, session_id: int) -> None:
    visit = book(world, at(10))
    late(world, session_id, 40, at(8, 30))
    says = plain(lateness(visit)[0], at(8, 31))
    assert says.startswith("Your appointment on Monday 2 March 2026, 10am: we are running late\n")
    assert "Dr Chen is running about 40 minutes late. Please still come at your time." in says
    assert visit.reference in says


def test_a_sensitive_visit_is_told_neutrally(world: World, session_id: int) -> None:
    visit = book(world, at(10), visit_type_id=world.vaccine_id)
    late(world, session_id, 40, at(8, 30))
    says = plain(lateness(visit)[0], at(8, 31))
    assert "We are running about 40 minutes late. Please still come at your time." in says
    assert "Chen" not in says
    assert "Vaccine" not in says


def test_it_is_told_in_the_patients_language(world: World, session_id: int) -> None:
    visit = book(world, at(10))
    change(lambda session: setattr(session.get_one(Patient, world.alice_id), "preferred_language", "de"))
    late(world, session_id, 40, at(8, 30))
    says = plain(lateness(visit)[0], at(8, 31))
    assert "Dr Chen ist etwa 40 Minuten in Verzug. Bitte kommen Sie trotzdem zu Ihrer Zeit." in says


def test_who_need_not_come_is_asked_to_be_ready(world: World, session_id: int) -> None:
    visit = book(world, at(10))

    def by_video(session: Session) -> None:
        row = session.get_one(Appointment, visit.id)
        row.mode, row.join_url = Mode.VIDEO, "https://video.example/1"

    change(by_video)
    late(world, session_id, 40, at(8, 30))
    assert "Please still be ready at your time." in plain(lateness(visit)[0], at(8, 31))


def why_overtaken(row: Notification, now: datetime) -> str:
    with pytest.raises(Overtaken) as refusal:
        letter(row, now)
    return refusal.value.reason


def test_what_is_not_true_any_more_does_not_leave(world: World, session_id: int) -> None:
    visit = book(world, at(10))
    late(world, session_id, 40, at(8, 30))
    [row] = lateness(visit)
    assert why_overtaken(row, at(10, 1)) == "past"
    late(world, session_id, 10, at(8, 31))
    assert why_overtaken(row, at(8, 32)) == "caught_up"
    late(world, session_id, 40, at(8, 33))
    assert letter(row, at(8, 34))
    with clock.clock_at(at(8, 35)):
        change_status(actor=world.erin, appointment_id=visit.id, to=Status.ARRIVED)
    assert why_overtaken(row, at(8, 36)) == "visit_arrived"
    with clock.clock_at(at(8, 37)):
        change_status(actor=world.erin, appointment_id=visit.id, to=Status.BOOKED)
        cancel(world, visit)
    assert why_overtaken(row, at(8, 38)) == "newer"


def test_it_leaves_with_the_next_delivery(world: World, session_id: int) -> None:
    visit = book(world, at(10))
    late(world, session_id, 40, at(8, 30))
    with clock.clock_at(at(8, 31)):
        delivery.deliver_due()
    assert [row.delivery for row in lateness(visit)] == [Delivery.SENT]


def test_nobody_is_called_about_it(world: World, session_id: int) -> None:
    """They would be on their way; and the visit stands."""
    with_address = book(world, at(10))
    without = book(world, at(11), patient_id=world.bob_id, actor=world.erin)

    def end(session: Session) -> None:
        for contact in session.scalars(select(ContactPoint).filter_by(patient_id=world.bob_id)):
            contact.ended_at = at(8)

    change(end)
    late(world, session_id, 40, at(8, 30))
    assert lateness(without) == []

    def refuse(session: Session) -> None:
        contact = session.scalars(select(ContactPoint).filter_by(patient_id=world.alice_id)).one()
        contact.ended_at = at(8)

    change(refuse)
    with clock.clock_at(at(8, 40)):
        delivery.deliver_due()
    assert [(row.delivery, row.detail) for row in lateness(with_address)] == [(Delivery.FAILED, "no_address")]


def test_who_died_is_told_nothing(world: World, session_id: int) -> None:
    visit = book(world, at(10))
    change(lambda session: setattr(session.get_one(Patient, world.alice_id), "deceased_on", at(8).date()))
    late(world, session_id, 40, at(8, 30))
    assert lateness(visit) == []
    assert db.session().get_one(ClinicSession, session_id).late_told_at is None
