"""Reminders: rows written with the booking, moved and overtaken with the visit, judged again when they leave."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from clinic_portal import clock, jobs
from clinic_portal.audit import SYSTEM
from clinic_portal.database import db, writing
from clinic_portal.models import (
    Appointment,
    Confirmation,
    ContactKind,
    ContactPoint,
    Mode,
    Patient,
    Relation,
)
from clinic_portal.notifications import delivery
from clinic_portal.notifications.replanning import plan_all
from clinic_portal.profile import contacts
from clinic_portal.profile.reminding import want_reminders
from clinic_portal.scheduling import booking
from clinic_portal.settings import change_setting, put_setting
from tests.bookings import book, cancel, move, reminders_of, told
from tests.smtp_server import Received, SmtpServer
from tests.visitor import Visitor, words_of
from tests.world import NOW, World, add_patient, add_session, at

ALICE = "alice@example.com"
# Tuesday the week after next Monday: reminders on Saturday and on Monday, both at ten.
TEN, SATURDAY, MONDAY = at(10, day=8), at(10, day=5), at(10, day=7)
FIRST, SECOND = ("3d", "due", None), ("1d", "due", None)


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    with SmtpServer() as server:
        yield server


def with_server(app: Flask, server: SmtpServer) -> Flask:
    """The portal with a mail server to talk to, and an address of its own."""
    config = replace(app.config["PORTAL"], smtp_host="127.0.0.1", smtp_port=server.port, smtp_security="none")
    app.config["PORTAL"] = replace(config, base_url="https://clinic.example")
    return app


@pytest.fixture
def app(app: Flask, server: SmtpServer) -> Flask:
    return with_server(app, server)


@pytest.fixture
def any_app(any_app: Flask, server: SmtpServer) -> Flask:
    return with_server(any_app, server)


def opens(world: World) -> None:
    for day in (8, 9):
        add_session(world.chen_id, at(7, day=day), at(12, day=day), world.location_id)
        add_session(world.diaz_id, at(12, day=day), at(17, day=day), world.location_id)


@pytest.fixture
def any_world(any_world: World) -> World:
    opens(any_world)
    return any_world


@pytest.fixture
def world(world: World) -> World:
    opens(world)
    return world


@writing
def change(session: Session, what: Callable[[Session], object]) -> None:
    what(session)


@contextmanager
def later(instant: datetime) -> Iterator[None]:
    with clock.clock_at(instant):
        yield


def deliver_at(instant: datetime) -> None:
    with later(instant):
        delivery.deliver_due()


def states(visit_id: int) -> list[tuple[str, str, str | None]]:
    """Label, delivery and detail of each reminder of a visit."""
    return [(row.facts["before"], row.delivery.value, row.detail) for row in reminders_of(visit_id)]


def reminders(server: SmtpServer, address: str = ALICE) -> list[Received]:
    return [each for each in server.to(address) if each.subject.startswith("Reminder")]


def visit_of(visit_id: int) -> Appointment:
    session = db.session()
    session.rollback()
    return session.get_one(Appointment, visit_id, populate_existing=True)


def test_a_booking_writes_its_reminders_with_their_due_times(any_world: World) -> None:
    visit = book(any_world, TEN)
    assert states(visit.id) == [FIRST, SECOND]
    rows = reminders_of(visit.id)
    assert [(row.due_at, row.next_try_at, row.created_at) for row in rows] == [
        (SATURDAY, SATURDAY, NOW), (MONDAY, MONDAY, NOW),
    ]  # fmt: skip
    key = f"appointment:{visit.id}:reminder-3d:0:patient:{any_world.alice_id}:email"
    assert rows[0].dedupe_key == key


def test_each_reminder_leaves_at_its_time_and_once(world: World, server: SmtpServer) -> None:
    visit = book(world, TEN)
    delivery.deliver_due()
    deliver_at(SATURDAY - timedelta(minutes=1))
    assert reminders(server) == []
    for instant in (SATURDAY, SATURDAY, MONDAY - timedelta(minutes=1)):
        deliver_at(instant)
        assert len(reminders(server)) == 1
    deliver_at(MONDAY)
    deliver_at(at(12, day=8))
    assert len(reminders(server)) == 2
    assert states(visit.id) == [("3d", "sent", None), ("1d", "sent", None)]
    assert {each.subject for each in reminders(server)} == {"Reminder: your appointment on Tuesday 10 March 2026, 10am"}
    assert len({each.message_id for each in server.received}) == len(server.received)


def test_the_practitioner_is_not_reminded(world: World, server: SmtpServer) -> None:
    book(world, TEN)
    deliver_at(MONDAY)
    assert len(server.to("chen@example.com")) == 1


def test_moving_removes_the_old_reminders_and_makes_new_ones(any_world: World, server: SmtpServer) -> None:
    visit = book(any_world, TEN)
    move(any_world, visit, at(11, day=9))
    assert states(visit.id) == [("3d", "superseded", "moved"), ("1d", "superseded", "moved"), FIRST, SECOND]
    assert [row.due_at for row in reminders_of(visit.id)[2:]] == [at(11, day=6), at(11, day=8)]
    for day in range(3, 9):
        deliver_at(at(12, day=day))
    assert [each.subject for each in reminders(server)] == [
        "Reminder: your appointment on Wednesday 11 March 2026, 11am"
    ] * 2


def test_a_reminder_already_sent_for_the_old_time_does_not_stop_the_new_one(world: World, server: SmtpServer) -> None:
    visit = book(world, TEN)
    deliver_at(SATURDAY)
    with later(SATURDAY + timedelta(hours=1)):
        move(world, visit, at(11, day=9))
    assert states(visit.id) == [("3d", "sent", None), ("1d", "superseded", "moved"), FIRST, SECOND]
    deliver_at(at(11, day=6))
    assert len(reminders(server)) == 2


def test_no_message_of_any_kind_for_a_cancelled_visit_after_the_cancel(world: World, server: SmtpServer) -> None:
    visit = book(world, TEN)
    delivery.deliver_due()
    with later(SATURDAY):
        claimed = delivery.claim_due(token="mine")
        cancel(world, visit)
        delivery._send_batch(claimed, "mine")
        delivery.deliver_due()
    deliver_at(MONDAY)
    assert reminders(server) == []
    assert states(visit.id) == [
        ("3d", "superseded", "visit_cancelled"), ("1d", "superseded", "visit_cancelled"),
    ]  # fmt: skip
    assert [each.subject.partition(" ")[0] for each in server.to(ALICE)] == ["Your", "Cancelled:"]


def test_a_scheduler_that_was_down_for_three_hours_sends_the_still_useful_reminders_and_none_twice(
    world: World, server: SmtpServer
) -> None:
    first = book(world, TEN)
    second = book(world, at(11, day=8), patient_id=world.bob_id, actor=world.bob)
    deliver_at(SATURDAY + timedelta(hours=3))
    deliver_at(SATURDAY + timedelta(hours=3, minutes=1))
    assert (len(reminders(server)), len(reminders(server, "bob@example.com"))) == (1, 1)
    assert states(first.id)[0] == states(second.id)[0] == ("3d", "sent", None)


def test_after_a_pause_of_days_only_the_reminder_that_is_nearest_leaves(world: World, server: SmtpServer) -> None:
    visit = book(world, TEN)
    deliver_at(MONDAY + timedelta(hours=1))
    assert states(visit.id) == [("3d", "superseded", "nearer"), ("1d", "sent", None)]
    assert len(reminders(server)) == 1
    other = book(world, at(10, day=9))
    deliver_at(at(20, 30, day=7))
    assert states(other.id)[0] == ("3d", "due", "quiet_hours")
    deliver_at(MONDAY + timedelta(hours=22))
    assert states(other.id) == [("3d", "superseded", "nearer"), ("1d", "due", None)]


def test_a_reminder_that_comes_too_late_is_of_no_use(world: World, server: SmtpServer) -> None:
    soon, begun = book(world, TEN), book(world, at(9, day=8), patient_id=world.bob_id, actor=world.bob)
    deliver_at(at(9, 15, day=8))
    assert states(soon.id)[1] == ("1d", "superseded", "too_late")
    assert states(begun.id)[1] == ("1d", "superseded", "past")
    assert reminders(server) == []


def test_what_could_not_leave_by_day_waits_for_the_morning_unless_that_is_too_late(
    world: World, server: SmtpServer
) -> None:
    early, late = book(world, at(8, 30, day=8)), book(world, TEN, patient_id=world.bob_id, actor=world.bob)
    deliver_at(at(22, day=7))
    assert states(early.id)[1] == ("1d", "sent", None)
    assert states(late.id)[1] == ("1d", "due", "quiet_hours")
    deliver_at(at(7, 59, day=8))
    assert len(reminders(server, "bob@example.com")) == 0
    deliver_at(at(8, day=8))
    assert states(late.id)[1] == ("1d", "sent", None)
    assert len(reminders(server, "bob@example.com")) == 1


def test_a_clock_set_back_two_hours_sends_no_reminder_twice(world: World, server: SmtpServer) -> None:
    visit = book(world, TEN)
    deliver_at(SATURDAY)
    with later(SATURDAY - timedelta(hours=2)):
        delivery.deliver_due()
        plan_all()
        change(lambda session: put_setting(session, "reminders", "3d 2d"))
        plan_all()
    deliver_at(SATURDAY)
    assert len(reminders(server)) == 1
    assert states(visit.id)[0] == ("3d", "sent", None)


def test_other_settings_plan_the_rows_of_visits_ahead_anew(any_world: World, server: SmtpServer) -> None:
    visit, far = book(any_world, TEN), book(any_world, at(10, day=9), patient_id=any_world.bob_id, actor=any_world.bob)
    change_setting(actor=SYSTEM, name="reminders", value="5d 1d")
    assert plan_all() == 2
    assert states(visit.id) == [("5d", "due", None), ("3d", "superseded", "replanned"), SECOND]
    assert reminders_of(far.id)[0].due_at == at(10, day=4)
    assert plan_all() == 0
    change_setting(actor=SYSTEM, name="reminders", value="3d 1d")
    assert plan_all() == 2
    assert states(visit.id) == [("5d", "superseded", "replanned"), FIRST, SECOND]
    deliver_at(SATURDAY)
    change_setting(actor=SYSTEM, name="reminders", value="none")
    change_setting(actor=SYSTEM, name="reminders", value="4d", visit_type="Check-up")
    with later(SATURDAY + timedelta(hours=1)):
        plan_all()
    assert states(visit.id)[1:] == [("3d", "sent", None), ("1d", "superseded", "replanned")]
    assert reminders_of(far.id)[0].facts["before"] == "5d"
    deliver_at(MONDAY)
    assert len(reminders(server)) == 1


def test_other_quiet_hours_move_what_waits(world: World) -> None:
    visit = book(world, at(7, day=8))
    assert [row.due_at for row in reminders_of(visit.id)] == [at(19, 45, day=4), at(19, 45, day=6)]
    change_setting(actor=SYSTEM, name="quiet_hours", value="22:00-06:00")
    plan_all()
    assert [row.next_try_at for row in reminders_of(visit.id)] == [at(7, day=5), at(7, day=7)]


def test_the_sweep_plans_visits_that_came_in_by_another_way(world: World) -> None:
    visit = book(world, TEN)
    for table, where in (("notifications", "event = 'reminder'"), ("notifications", "event = 'booked'")):
        change(lambda session, table=table, where=where: session.execute(text(f"DELETE FROM {table} WHERE {where}")))
    change(lambda session: session.execute(update(Appointment).values(reminder_rules=None)))
    jobs.sweep()
    assert states(visit.id) == [FIRST, SECOND]


def test_on_the_phone_one_more_comes_an_hour_before(world: World, server: SmtpServer) -> None:
    visit = book(world, TEN)
    change(lambda session: session.execute(update(Appointment).values(mode=Mode.PHONE, call_number="020 7946 0018")))
    plan_all()
    assert [(row.facts["before"], row.due_at) for row in reminders_of(visit.id)][2:] == [("1h", at(9, day=8))]
    for instant in (SATURDAY, MONDAY, at(9, day=8)):
        deliver_at(instant)
    assert len(reminders(server)) == 3


def test_booked_inside_a_window_the_reminder_is_skipped_and_no_error(world: World, server: SmtpServer) -> None:
    with later(at(10, day=6)):
        two_days = book(world, TEN)
    with later(at(10, 30, day=7)):
        tomorrow = book(world, at(9, day=8), patient_id=world.bob_id, actor=world.bob)
    assert states(two_days.id) == [SECOND]
    assert states(tomorrow.id) == []
    with later(at(12, day=7)):
        assert jobs.sweep() is None
        plan_all()
    assert states(tomorrow.id) == []


def test_whoever_has_no_mailbox_has_no_reminder_that_nobody_works_off(world: World) -> None:
    ids: list[int] = []
    change(lambda session: ids.append(add_patient(session, "Carol", "Cole", email=False).id))
    visit = book(world, TEN, patient_id=ids[0], actor=world.erin)
    assert states(visit.id) == []
    made = contacts.add_contact(actor=world.erin, patient_id=ids[0], kind=ContactKind.EMAIL,
                                value="carol@example.com", whose=Relation.SELF)  # fmt: skip
    assert states(visit.id) == []
    contacts.verify_contact(public_id=made.public_id)
    assert states(visit.id) == [FIRST, SECOND]
    contacts.end_contact(actor=world.erin, contact_id=made.id)
    assert states(visit.id) == [("3d", "superseded", "no_address"), ("1d", "superseded", "no_address")]


def test_a_reminder_whose_mailbox_was_refused_makes_no_call(world: World, server: SmtpServer) -> None:
    visit = book(world, TEN)
    delivery.deliver_due()
    server.answers[ALICE] = "550 5.1.1 no such user"
    deliver_at(SATURDAY)
    assert states(visit.id)[0] == ("3d", "failed", "smtp 550 recipient")
    assert {each[2] for each in told(visit.id)} == {"sent"}
    deliver_at(MONDAY)
    assert states(visit.id)[1] == ("1d", "superseded", "no_address")


def test_a_busy_server_gets_a_reminder_again_although_it_was_written_long_ago(world: World, server: SmtpServer) -> None:
    visit = book(world, TEN)
    delivery.deliver_due()
    server.answers[ALICE] = "451 4.3.0 try again"
    deliver_at(SATURDAY)
    assert states(visit.id)[0] == ("3d", "due", "smtp 451 recipient")
    server.answers.clear()
    deliver_at(SATURDAY + timedelta(minutes=1))
    assert states(visit.id)[0] == ("3d", "sent", None)


def test_planning_again_leaves_a_message_its_pause(world: World, server: SmtpServer) -> None:
    visit = book(world, TEN)
    delivery.deliver_due()
    server.answers[ALICE] = "451 4.3.0 try again"
    deliver_at(SATURDAY)
    tried_at = reminders_of(visit.id)[0].next_try_at
    with later(SATURDAY + timedelta(seconds=1)):
        other = book(world, at(10, day=9))
    assert reminders_of(visit.id)[0].next_try_at == tried_at > SATURDAY
    assert states(other.id) == [FIRST, SECOND]


def test_no_reminders_does_not_stop_what_the_clinic_changes(world: World, server: SmtpServer) -> None:
    visit = book(world, TEN)
    want_reminders(actor=world.alice, patient_id=world.alice_id, wanted=False)
    assert states(visit.id) == [("3d", "superseded", "opted_out"), ("1d", "superseded", "opted_out")]
    move(world, visit, at(11, day=9))
    assert len(states(visit.id)) == 2
    delivery.deliver_due()
    assert [each.subject for each in server.to(ALICE)] == ["Your appointment is now on Wednesday 11 March 2026, 11am"]
    want_reminders(actor=world.alice, patient_id=world.alice_id, wanted=True)
    assert states(visit.id)[2:] == [FIRST, SECOND]
    booking.cancel_appointment(actor=world.erin, appointment_id=visit.id, token="erin")
    delivery.deliver_due()
    assert len(server.to(ALICE)) == 2


def test_who_stopped_reminders_after_the_claim_gets_none(world: World, server: SmtpServer) -> None:
    visit = book(world, TEN)
    delivery.deliver_due()
    with later(SATURDAY):
        claimed = delivery.claim_due(token="mine")
        want_reminders(actor=world.alice, patient_id=world.alice_id, wanted=False)
        delivery._send_batch(claimed, "mine")
    assert reminders(server) == []
    assert states(visit.id)[0] == ("3d", "superseded", "opted_out")


def test_nobody_is_reminded_of_a_visit_of_somebody_who_has_died(world: World, server: SmtpServer) -> None:
    visit = book(world, TEN)
    change(lambda session: setattr(session.get_one(Patient, world.alice_id), "deceased_on", NOW.date()))
    deliver_at(SATURDAY)
    assert (states(visit.id)[0], server.received) == (("3d", "superseded", "deceased"), [])
    booking.cancel_appointment(actor=world.erin, appointment_id=visit.id, token="erin")
    assert states(visit.id)[1] == ("1d", "superseded", "deceased")


def belongs_to_a_parent(session: Session) -> None:
    session.execute(update(ContactPoint).values(whose=Relation.PARENT))


def test_a_private_visit_is_not_told_to_a_parent(world: World, server: SmtpServer) -> None:
    visit = book(world, TEN)
    change(belongs_to_a_parent)
    change(lambda session: session.execute(update(Appointment).values(is_private=True)))
    deliver_at(SATURDAY)
    assert states(visit.id)[0] == ("3d", "superseded", "private")
    other = book(world, at(10, day=9))
    assert states(other.id) == [FIRST, SECOND]
    assert reminders(server) == []


def test_two_visits_on_one_day_get_one_reminder_that_names_both(any_world: World, server: SmtpServer) -> None:
    late, early = book(any_world, at(14, day=8)), book(any_world, TEN)
    assert states(early.id) == [FIRST, SECOND]
    assert states(late.id) == [("3d", "superseded", "shared"), ("1d", "superseded", "shared")]
    deliver_at(SATURDAY)
    deliver_at(at(14, day=5))
    [mail] = reminders(server)
    assert mail.subject == "Reminder: your appointments on Tuesday 10 March 2026"
    assert "10am" in mail.plain
    assert "2pm" in mail.plain
    assert mail.plain.count("/cancel") == 2
    assert [row.sent_at for row in (*reminders_of(early.id), *reminders_of(late.id))] == [SATURDAY, None] * 2
    assert visit_of(early.id).confirmation == visit_of(late.id).confirmation == Confirmation.ASKED


def test_when_the_first_of_two_is_cancelled_the_other_is_reminded_of_at_its_own_time(
    world: World, server: SmtpServer
) -> None:
    early, late = book(world, TEN), book(world, at(14, day=8))
    deliver_at(SATURDAY)
    cancel(world, early)
    assert states(late.id) == [("3d", "superseded", "shared"), ("1d", "due", None)]
    assert reminders_of(late.id)[1].due_at == at(14, day=7)
    deliver_at(at(14, day=5))
    deliver_at(at(14, day=7))
    assert [each.subject for each in reminders(server)] == [
        "Reminder: your appointments on Tuesday 10 March 2026",
        "Reminder: your appointment on Tuesday 10 March 2026, 2pm",
    ]


def test_when_only_the_first_of_two_does_not_stand_the_mail_tells_of_the_other(
    world: World, server: SmtpServer
) -> None:
    early, late = book(world, TEN), book(world, at(14, day=8))
    deliver_at(SATURDAY)
    # Down for a day, and the first one begins soon.
    deliver_at(at(9, 30, day=8))
    assert [each.subject for each in reminders(server)][1:] == [
        "Reminder: your appointment on Tuesday 10 March 2026, 2pm"
    ]
    assert states(early.id)[1] == ("1d", "sent", "only_others_told")
    assert reminders_of(late.id)[1].sent_at == at(9, 30, day=8)


def test_a_visit_booked_after_its_day_was_told_adds_no_second_reminder_close_by(
    world: World, server: SmtpServer
) -> None:
    book(world, TEN)
    deliver_at(SATURDAY)
    with later(SATURDAY + timedelta(hours=1)):
        late = book(world, at(14, day=8))
    assert states(late.id) == [("1d", "superseded", "shared")]
    deliver_at(at(14, day=5))
    deliver_at(MONDAY)
    assert [each.subject for each in reminders(server)] == [
        "Reminder: your appointment on Tuesday 10 March 2026, 10am",
        "Reminder: your appointments on Tuesday 10 March 2026",
    ]


def test_two_children_with_their_mothers_mailbox_get_one_reminder_each(world: World, server: SmtpServer) -> None:
    def born(session: Session) -> None:
        for name in ("Dora", "Emil"):
            child = add_patient(session, name, "Archer", email=False)
            session.add(ContactPoint(patient_id=child.id, kind=ContactKind.EMAIL, whose=Relation.PARENT,
                                     value="mother@example.com"))  # fmt: skip

    change(born)
    dora, emil = db.session().scalars(select(Patient.id).where(Patient.given_name.in_(("Dora", "Emil")))).all()
    book(world, TEN, patient_id=dora, actor=world.erin)
    book(world, at(11, day=8), patient_id=emil, actor=world.erin)
    deliver_at(SATURDAY + timedelta(hours=1))
    mails = reminders(server, "mother@example.com")
    assert [[name for name in ("Dora", "Emil") if name in each.plain] for each in mails] == [["Dora"], ["Emil"]]


def test_the_three_day_reminder_asks_and_the_others_do_not(world: World, server: SmtpServer) -> None:
    visit = book(world, TEN)
    deliver_at(SATURDAY)
    assert visit_of(visit.id).confirmation == Confirmation.ASKED
    deliver_at(MONDAY)
    first, second = reminders(server)
    assert "I will come: https://clinic.example/a/" in first.plain
    assert "I cannot come: https://clinic.example/a/" in first.plain
    assert "I will come" not in second.plain
    assert "Change or cancel it: https://clinic.example/a/" in second.plain
    with later(MONDAY):
        move(world, visit, at(11, day=9))
    assert visit_of(visit.id).confirmation == Confirmation.NOT_ASKED


def test_a_reminder_has_no_calendar_part_and_can_be_stopped_with_one_click(world: World, server: SmtpServer) -> None:
    book(world, TEN)
    deliver_at(SATURDAY)
    [received] = reminders(server)
    assert [part.get_content_type() for part in received.mail.walk() if not part.is_multipart()] == [
        "text/plain", "text/html",
    ]  # fmt: skip
    # In one piece: mail programs read the address, not the words.
    [line] = [line for line in received.raw.split(b"\r\n") if line.lower().startswith(b"list-unsubscribe:")]
    assert line.startswith(b"List-Unsubscribe: <https://clinic.example/reminders/stop/")
    assert line.endswith(b">")
    assert len(line) > 78
    assert received.mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_only_reminders_can_be_unsubscribed_from(world: World, server: SmtpServer) -> None:
    visit = book(world, TEN)
    delivery.deliver_due()
    cancel(world, visit)
    delivery.deliver_due()
    assert [each.mail["List-Unsubscribe"] for each in server.received] == [None] * 4


def test_a_reminder_of_a_sensitive_visit_is_neutral(world: World, server: SmtpServer) -> None:
    book(world, TEN, visit_type_id=world.vaccine_id)
    deliver_at(SATURDAY)
    [mail] = reminders(server)
    whole = mail.mail.as_string() + mail.plain + str(mail.mail.get_body(("html",)))
    assert not [word for word in ("Vaccine", "Chen", "Harbour Street,", "12 Harbour", "Alice") if word in whole]
    assert mail.subject == "Reminder: your appointment on Tuesday 10 March 2026, 10am"


def test_pages_and_mails_say_when_reminders_come(app: Flask, world: World, server: SmtpServer) -> None:
    visit = book(world, TEN)
    told_on = "We will remind you on Saturday 7 March and Monday 9 March."
    delivery.deliver_due()
    assert told_on in server.to(ALICE)[0].plain
    alice = Visitor(app, "alice")
    assert told_on in words_of(alice.get(f"/appointments/{visit.public_id}/booked"))
    assert told_on in words_of(alice.get(f"/appointments/{visit.public_id}"))
    with later(SATURDAY + timedelta(hours=1)):
        delivery.deliver_due()
        assert "We will remind you on Monday 9 March." in words_of(alice.get(f"/appointments/{visit.public_id}"))
    want_reminders(actor=world.alice, patient_id=world.alice_id, wanted=False)
    assert "remind you" not in words_of(alice.get(f"/appointments/{visit.public_id}"))


def test_reminders_and_what_is_said_of_them_are_in_the_patients_language(world: World, server: SmtpServer) -> None:
    change(lambda session: setattr(session.get_one(Patient, world.alice_id), "preferred_language", "de"))
    book(world, TEN)
    delivery.deliver_due()
    assert (
        "Wir erinnern Sie am Samstag, 7.\N{NO-BREAK SPACE}März und Montag, 9.\N{NO-BREAK SPACE}März."
        in server.to(ALICE)[0].plain
    )
    deliver_at(SATURDAY)
    [mail] = [each for each in server.to(ALICE) if each.subject.startswith("Erinnerung")]
    assert (
        mail.subject == "Erinnerung: Ihr Termin am Dienstag, 10.\N{NO-BREAK SPACE}März 2026, 10:00\N{NO-BREAK SPACE}Uhr"
    )
    assert "Ich komme: https://clinic.example/a/" in mail.plain
    assert "Keine Erinnerungen mehr per E-Mail: https://clinic.example/reminders/stop/" in mail.plain
