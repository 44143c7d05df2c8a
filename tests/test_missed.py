"""Whoever did not come is asked the next morning whether the visit is still needed: once, and only while that is so."""

from __future__ import annotations

from datetime import datetime

import pytest
from flask import current_app
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import db, writing
from clinic_portal.models import Appointment, ContactPoint, Delivery, Event, Notification, Patient, Status
from clinic_portal.notifications import delivery, letters, messages
from clinic_portal.notifications.captured import list_captured
from clinic_portal.notifications.letters import Overtaken
from clinic_portal.scheduling.booking import change_status
from clinic_portal.settings import put_setting
from tests.asking import ask
from tests.bookings import book
from tests.invariants import check_invariants
from tests.world import World, add_session, at

MORNING = at(9, day=1)


@pytest.fixture
def visit(any_world: World) -> Appointment:
    """A visit at ten today."""
    add_session(any_world.chen_id, at(9), at(12))
    add_session(any_world.chen_id, at(9, day=3), at(12, day=3))
    return book(any_world, at(10), actor=any_world.erin)


def mark(world: World, visit: Appointment, to: Status, now: datetime, **more: bool) -> None:
    with clock.clock_at(now):
        change_status(actor=world.erin, appointment_id=visit.id, to=to, **more)


def miss(world: World, visit: Appointment, now: datetime | None = None) -> None:
    mark(world, visit, Status.NOSHOW, now or at(11))


def asked() -> list[Notification]:
    """What was written about it, read afresh, oldest first."""
    session = db.session()
    session.rollback()
    session.expire_all()
    return list(session.scalars(select(Notification).filter_by(event=Event.MISSED).order_by(Notification.id)))


def plain(row: Notification, now: datetime = MORNING) -> str:
    with clock.clock_at(now):
        mail = messages.compose(letters.read_letter(db.session(), row.id))
    part = mail.get_body(("plain",))
    assert part is not None
    assert [each.get_content_type() for each in mail.walk() if "calendar" in each.get_content_type()] == []
    return f"{mail['Subject']}\n{part.get_content()}"


def why_not(row: Notification, now: datetime = MORNING) -> str:
    db.session().rollback()
    db.session().expire_all()
    with clock.clock_at(now), pytest.raises(Overtaken) as reason:
        letters.read_letter(db.session(), row.id)
    return str(reason.value)


def mails() -> int:
    return len(list_captured(current_app.config["PORTAL"].mail_dir))


@writing
def change(session: Session, model: type[Patient] | type[ContactPoint], id_: int, **values: object) -> None:
    row = session.get_one(model, id_)
    for name, value in values.items():
        setattr(row, name, value)


def test_who_missed_a_visit_is_asked_the_next_morning(any_world: World, visit: Appointment) -> None:
    miss(any_world, visit)
    [row] = asked()
    assert (row.delivery, row.due_at, row.patient_id) == (Delivery.DUE, MORNING, any_world.alice_id)
    says = plain(row)
    assert says.startswith("Do you still need your appointment of Monday 2 March 2026?")
    assert "We did not see you at this appointment." in says
    assert "When:      Monday 2 March 2026, 10am" in says
    assert f"Reference: {visit.reference}" in says
    assert "choose another time: http" in says
    assert "Check-up" not in says
    assert "Dr Chen" not in says
    check_invariants(db.session())


def test_the_mail_leaves_once_and_in_the_morning(world: World, visit: Appointment) -> None:
    with clock.clock_at(at(11)):
        delivery.deliver_due()
    before = mails()
    miss(world, visit)
    for now, count in ((at(20), 0), (MORNING, 1), (at(10, day=1), 1)):
        with clock.clock_at(now):
            delivery.deliver_due()
        assert mails() - before == count
    assert asked()[0].delivery is Delivery.SENT
    # Taken back and made again: once was enough.
    mark(world, visit, Status.BOOKED, at(11, day=1))
    miss(world, visit, at(12, day=1))
    assert len(asked()) == 1


def test_it_is_not_asked_when_the_mark_is_taken_back_and_asked_when_it_is_made_again(
    world: World, visit: Appointment
) -> None:
    miss(world, visit)
    mark(world, visit, Status.BOOKED, at(12))
    assert why_not(asked()[0]) == "visit_booked"
    with clock.clock_at(MORNING):
        delivery.deliver_due()
    assert [row.delivery for row in asked()] == [Delivery.SUPERSEDED]
    miss(world, visit, at(10, day=1))
    assert [(row.delivery, row.due_at) for row in asked()][1:] == [(Delivery.DUE, at(9, day=2))]


def test_two_marks_before_the_morning_ask_once(world: World, visit: Appointment) -> None:
    miss(world, visit)
    mark(world, visit, Status.BOOKED, at(12))
    miss(world, visit, at(13))
    assert len(asked()) == 1
    assert plain(asked()[0])


def test_who_has_another_one_or_asks_for_one_is_not_asked(world: World, visit: Appointment) -> None:
    miss(world, visit)
    with clock.clock_at(at(12)):
        another = book(world, at(9, day=3))
    assert why_not(asked()[0]) == "booked_again"
    with clock.clock_at(at(13)):
        mark(world, another, Status.ENTERED_IN_ERROR, at(13))
        ask(world)
    assert why_not(asked()[0]) == "booked_again"


def test_who_came_too_late_was_there(world: World, visit: Appointment) -> None:
    mark(world, visit, Status.ARRIVED, at(10, 40))
    mark(world, visit, Status.NOSHOW, at(10, 45), came_too_late=True)
    assert asked() == []


def test_who_wants_no_reminders_or_has_died_is_not_asked(world: World, visit: Appointment) -> None:
    miss(world, visit)
    change(Patient, world.alice_id, reminders_stopped_at=at(12))
    assert why_not(asked()[0]) == "opted_out"
    change(Patient, world.alice_id, reminders_stopped_at=None, deceased_on=at(12).date())
    assert why_not(asked()[0]) == "deceased"


def test_what_is_switched_off_before_the_morning_is_not_asked(world: World, visit: Appointment) -> None:
    miss(world, visit)
    switch_off()
    assert why_not(asked()[0]) == "switched_off"


@pytest.mark.parametrize("why", ["stopped", "no mailbox", "off"])
def test_nothing_is_written_for_whom_it_cannot_reach_and_nobody_is_called(
    world: World, visit: Appointment, why: str
) -> None:
    if why == "stopped":
        change(Patient, world.alice_id, reminders_stopped_at=at(9))
    elif why == "no mailbox":
        mailbox = db.session().scalars(select(ContactPoint).filter_by(patient_id=world.alice_id)).one()
        change(ContactPoint, mailbox.id, ended_at=at(9))
    else:
        switch_off()
    miss(world, visit)
    assert asked() == []


@writing
def switch_off(session: Session) -> None:
    put_setting(session, "missed_message", "off")


def test_whoever_reads_it_for_somebody_else_is_told_of_whom(world: World, visit: Appointment) -> None:
    mailbox = db.session().scalars(select(ContactPoint).filter_by(patient_id=world.alice_id)).one()
    change(ContactPoint, mailbox.id, whose="parent")
    miss(world, visit)
    says = plain(asked()[0])
    assert "We did not see Alice at this appointment." in says
    assert "For:       Alice" in says
