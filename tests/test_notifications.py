"""Messages: written with the change, sent once, tried again, overtaken, given up; the mail server misbehaves."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import db, writing
from clinic_portal.errors import NotFound
from clinic_portal.models import (
    Appointment,
    Channel,
    ContactKind,
    ContactPoint,
    Delivery,
    Notification,
    Patient,
    Relation,
    Status,
)
from clinic_portal.notifications import channels, delivery, outbox
from clinic_portal.notifications.captured import list_captured, read_captured
from clinic_portal.scheduling import booking
from clinic_portal.settings import put_setting
from tests.bookings import book, cancel, messages_of, move, open_clinic, told
from tests.conftest import opened, portal_config
from tests.smtp_server import DROP_AFTER_DATA, HANG, SmtpServer
from tests.world import NOW, World, add_patient, add_session, at

ALICE, CHEN, DIAZ = "alice@example.com", "chen@example.com", "diaz@example.com"
TEN = at(10, day=1)


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    with SmtpServer() as server:
        yield server


def smtp(server: SmtpServer, security: str = "none") -> dict[str, str]:
    return {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(server.port), "SMTP_SECURITY": security}


@pytest.fixture
def app(data_dir: Path, server: SmtpServer) -> Iterator[Flask]:
    """The portal with a mail server to talk to."""
    with opened({**portal_config(data_dir), **smtp(server)}) as app:
        yield app


@pytest.fixture
def any_app(any_env: dict[str, str], server: SmtpServer) -> Iterator[Flask]:
    """The same, once for each kind of database."""
    with opened({**any_env, **smtp(server)}) as app:
        yield app


@pytest.fixture
def any_world(any_world: World) -> World:
    open_clinic(any_world)
    return any_world


@pytest.fixture
def world(world: World) -> World:
    open_clinic(world)
    return world


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A moment is long enough for a mail server that never answers."""
    monkeypatch.setattr(channels, "TIMEOUT_S", 0.3)


@writing
def change(session: Session, what: Callable[[Session], None]) -> None:
    what(session)


def later(minutes: float) -> None:
    """Deliver some minutes from now."""
    with clock.clock_at(clock.now() + timedelta(minutes=minutes)):
        delivery.deliver_due()


def test_a_booking_is_told_to_the_patient_and_to_the_practitioner(any_world: World, server: SmtpServer) -> None:
    visit = book(any_world, TEN)
    assert told(visit.id) == [("booked", "patient", "due"), ("booked", "practitioner", "due")]
    assert delivery.deliver_due() is True
    assert told(visit.id) == [("booked", "patient", "sent"), ("booked", "practitioner", "sent")]
    assert [each.to for each in server.received] == [ALICE, CHEN]
    assert [row.sent_at for row in messages_of(visit.id)] == [NOW, NOW]


def test_a_change_that_is_rolled_back_tells_nobody(world: World) -> None:
    @writing
    def fail_after_telling(session: Session, visit_id: int) -> None:
        visit = session.get_one(Appointment, visit_id)
        visit.sequence += 1
        outbox.tell_cancelled(session, visit)
        raise NotFound

    visit = book(world, TEN)
    with pytest.raises(NotFound):
        fail_after_telling(visit.id)
    assert len(messages_of(visit.id)) == 2


def test_a_move_is_told_once_to_each_and_the_old_booking_no_more(world: World, server: SmtpServer) -> None:
    visit = book(world, TEN)
    move(world, visit, at(11, day=1))
    delivery.deliver_due()
    assert told(visit.id) == [
        ("booked", "patient", "superseded"), ("booked", "practitioner", "superseded"),
        ("moved", "patient", "sent"), ("moved", "practitioner", "sent"),
    ]  # fmt: skip
    [mail] = server.to(ALICE)
    assert mail.subject == "Your appointment is now on Tuesday 3 March 2026, 11am"
    assert "The old time, Tuesday 3 March 2026, 10am, no longer stands" in mail.plain


def test_a_practitioner_who_loses_a_visit_hears_of_a_cancel_and_the_new_one_of_a_booking(
    world: World, server: SmtpServer
) -> None:
    visit = book(world, TEN)
    delivery.deliver_due()
    add_session(world.diaz_id, at(9, day=2), at(12, day=2), world.location_id)
    move(world, visit, at(9, day=2))
    delivery.deliver_due()
    assert told(visit.id)[2:] == [
        ("moved", "patient", "sent"), ("cancelled", "practitioner", "sent"), ("booked", "practitioner", "sent"),
    ]  # fmt: skip
    assert server.to(CHEN)[1].subject == "Cancelled in your day: Tuesday 3 March 2026, 10am"
    assert server.to(DIAZ)[0].subject == "New in your day: Wednesday 4 March 2026, 9am"


def test_a_practitioner_who_gets_a_visit_back_hears_only_that(world: World, server: SmtpServer) -> None:
    add_session(world.diaz_id, at(9, day=2), at(12, day=2), world.location_id)
    visit = book(world, TEN)
    delivery.deliver_due()
    move(world, visit, at(9, day=2))
    move(world, visit, at(11, day=1))
    delivery.deliver_due()
    assert [each.subject.partition(":")[0] for each in server.to(CHEN)] == ["New in your day"] * 2
    # Nobody ever told Dr Diaz of the visit, and the cancel does no harm.
    assert [each.subject.partition(":")[0] for each in server.to(DIAZ)] == ["Cancelled in your day"]


def test_nothing_but_the_cancel_leaves_for_a_cancelled_visit(world: World, server: SmtpServer) -> None:
    visit = book(world, TEN)
    cancel(world, visit)
    delivery.deliver_due()
    assert told(visit.id) == [
        ("booked", "patient", "superseded"), ("booked", "practitioner", "superseded"),
        ("cancelled", "patient", "sent"), ("cancelled", "practitioner", "sent"),
    ]  # fmt: skip
    assert [each.subject[:9] for each in server.received] == ["Cancelled", "Cancelled"]


def test_a_visit_cancelled_after_the_claim_is_not_confirmed(world: World, server: SmtpServer) -> None:
    visit = book(world, TEN)
    claimed = delivery.claim_due(token="mine")
    cancel(world, visit)
    delivery._send_batch(claimed, "mine")
    assert server.received == []
    assert [row.detail for row in messages_of(visit.id)[:2]] == ["newer", "newer"]


def test_nothing_is_sent_about_a_patient_who_has_died(world: World, server: SmtpServer) -> None:
    visit = book(world, TEN)
    change(lambda session: setattr(session.get_one(Patient, world.alice_id), "deceased_on", NOW.date()))
    cancel(world, visit)
    delivery.deliver_due()
    assert server.received == []
    assert [(row.delivery, row.detail) for row in messages_of(visit.id)] == [(Delivery.SUPERSEDED, "deceased")] * 2


def test_a_confirmation_of_a_visit_that_is_over_or_under_way_is_of_no_use(world: World, server: SmtpServer) -> None:
    over, arrived = book(world, TEN), book(world, at(11, day=1))
    with clock.clock_at(at(10, 45, day=1)):
        booking.change_status(actor=world.erin, appointment_id=arrived.id, to=Status.ARRIVED)
        delivery.deliver_due()
    assert server.received == []
    assert {row.detail for row in messages_of(over.id)} == {"past"}
    assert {row.detail for row in messages_of(arrived.id)} == {"visit_arrived"}


def test_a_patient_without_an_address_is_on_the_list_of_calls(world: World, server: SmtpServer) -> None:
    @writing
    def carol(session: Session) -> int:
        return add_patient(session, "Carol", "Cole", email=False).id

    visit = book(world, TEN, patient_id=carol(), actor=world.erin)
    delivery.deliver_due()
    assert told(visit.id) == [("booked", "patient", "to_call"), ("booked", "practitioner", "sent")]
    booking.cancel_appointment(actor=world.erin, appointment_id=visit.id, token="carol")
    delivery.deliver_due()
    assert [each for each in told(visit.id) if each[1] == "patient"] == [
        ("booked", "patient", "superseded"), ("cancelled", "patient", "to_call"),
    ]  # fmt: skip
    assert [row.channel for row in messages_of(visit.id) if row.patient_id] == [Channel.CALL, Channel.CALL]


def test_the_best_usable_address_is_taken_and_looked_at_again_when_the_mail_leaves(
    world: World, server: SmtpServer
) -> None:
    def add(session: Session) -> None:
        for rank, value in ((0, "old@example.com"), (2, "second@example.com")):
            session.add(ContactPoint(patient_id=world.alice_id, kind=ContactKind.EMAIL, whose=Relation.SELF,
                                     value=value, preferred_rank=rank, ended_at=None))  # fmt: skip

    def end_others(session: Session) -> None:
        for contact in session.scalars(select(ContactPoint).where(ContactPoint.preferred_rank < 2)):
            contact.ended_at = NOW

    change(add)
    visit = book(world, TEN)
    change(end_others)
    delivery.deliver_due()
    assert [each.to for each in server.received] == ["second@example.com", CHEN]
    contact = messages_of(visit.id)[0].contact_point
    assert contact is not None
    assert contact.value == "second@example.com"


def test_a_mail_that_somebody_else_reads_says_for_whom_it_is(world: World, server: SmtpServer) -> None:
    def belongs_to_a_parent(session: Session) -> None:
        for contact in session.scalars(select(ContactPoint).filter_by(patient_id=world.alice_id)):
            contact.whose = Relation.PARENT

    change(belongs_to_a_parent)
    book(world, TEN)
    delivery.deliver_due()
    assert "For:       Alice" in server.to(ALICE)[0].plain
    assert "Alice" not in server.to(CHEN)[0].raw.decode()


def test_a_busy_server_gets_the_mail_again_after_growing_pauses(world: World, server: SmtpServer) -> None:
    server.answers[ALICE] = "451 4.3.0 try again"
    visit = book(world, TEN)
    delivery.deliver_due()
    row = messages_of(visit.id)[0]
    assert (row.delivery, row.tries, row.detail, row.lease) == (Delivery.DUE, 1, "smtp 451 recipient", None)
    assert timedelta(seconds=5) < row.next_try_at - NOW <= timedelta(seconds=10)
    delivery.deliver_due()
    assert messages_of(visit.id)[0].tries == 1
    later(1)
    assert messages_of(visit.id)[0].tries == 2
    assert delivery.pause(3) > delivery.pause(2) > delivery.pause(1)
    assert delivery.pause(500) <= timedelta(seconds=delivery.LONGEST_PAUSE_S)
    server.answers.clear()
    later(5)
    assert told(visit.id)[0] == ("booked", "patient", "sent")
    assert len(server.to(ALICE)) == 1


def test_after_a_day_of_trying_the_desk_calls(world: World, server: SmtpServer) -> None:
    server.answers[ALICE] = "451 4.3.0 try again"
    open_clinic(world, day=4)
    visit = book(world, at(10, day=4))
    delivery.deliver_due()
    later(24 * 60 + 1)
    assert told(visit.id) == [
        ("booked", "patient", "failed"), ("booked", "practitioner", "sent"), ("booked", "patient", "to_call"),
    ]  # fmt: skip
    assert not is_flagged(world.alice_id)


def is_flagged(patient_id: int) -> bool:
    contact = db.session().scalars(select(ContactPoint).filter_by(patient_id=patient_id)).one()
    return contact.failed_at is not None


def test_a_refused_address_is_flagged_and_the_desk_calls(any_world: World, server: SmtpServer) -> None:
    server.answers[ALICE] = "550 5.1.1 no such user"
    visit = book(any_world, TEN)
    delivery.deliver_due()
    assert told(visit.id) == [
        ("booked", "patient", "failed"), ("booked", "practitioner", "sent"), ("booked", "patient", "to_call"),
    ]  # fmt: skip
    assert is_flagged(any_world.alice_id)
    move(any_world, visit, at(11, day=1))
    assert told(visit.id)[2:4] == [("booked", "patient", "superseded"), ("moved", "patient", "to_call")]


def test_a_server_that_does_not_relay_is_not_the_readers_fault(world: World, server: SmtpServer) -> None:
    server.answers[ALICE] = "554 5.7.1 relay access denied"
    visit = book(world, TEN)
    delivery.deliver_due()
    assert told(visit.id)[0] == ("booked", "patient", "due")
    assert not is_flagged(world.alice_id)


@pytest.mark.usefixtures("impatient")
def test_a_server_that_hangs_at_one_mail_does_not_hold_up_the_others(world: World, server: SmtpServer) -> None:
    server.answers[ALICE] = HANG
    visit = book(world, TEN)
    delivery.deliver_due()
    assert told(visit.id) == [("booked", "patient", "due"), ("booked", "practitioner", "sent")]
    assert messages_of(visit.id)[0].detail == "connection_lost"


def test_a_line_dropped_after_the_text_gives_a_second_copy_with_the_same_message_id(
    world: World, server: SmtpServer
) -> None:
    server.answers[ALICE] = DROP_AFTER_DATA
    visit = book(world, TEN)
    delivery.deliver_due()
    assert told(visit.id)[0] == ("booked", "patient", "due")
    server.answers.clear()
    later(1)
    first, second = server.to(ALICE)
    assert first.message_id == second.message_id
    assert first.message_id != server.to(CHEN)[0].message_id
    assert told(visit.id)[0] == ("booked", "patient", "sent")


def test_a_server_that_is_away_is_asked_once_and_every_mail_waits(
    world: World, server: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = book(world, TEN), book(world, at(11, day=1))
    cancel(world, second)
    asked = []

    def refuse(self: channels.MailServer) -> None:
        asked.append(self)
        raise ConnectionRefusedError

    with monkeypatch.context() as patched:
        patched.setattr(channels.MailServer, "_dialled", refuse)
        delivery.deliver_due()
    assert len(asked) == 1
    assert told(first.id) == [("booked", "patient", "due"), ("booked", "practitioner", "due")]
    assert told(second.id)[0] == ("booked", "patient", "superseded")
    later(1)
    assert len(server.received) == 4


def test_no_mail_leaves_in_the_clear_when_the_server_should_encrypt(
    data_dir: Path, server: SmtpServer, world: World
) -> None:
    with opened({**portal_config(data_dir), **smtp(server, "starttls")}):
        visit = book(world, TEN)
        delivery.deliver_due()
        assert messages_of(visit.id)[0].detail == "no_mail_server SMTPNotSupportedError"
    assert server.received == []


def test_an_address_that_is_none_is_flagged_and_does_not_hold_up_the_others(
    world: World, server: SmtpServer, caplog: pytest.LogCaptureFixture
) -> None:
    visit = book(world, TEN)
    change(lambda session: session.execute(text("UPDATE contact_points SET value = 'not an address'")) and None)
    delivery.deliver_due()
    assert told(visit.id) == [
        ("booked", "patient", "failed"), ("booked", "practitioner", "sent"), ("booked", "patient", "to_call"),
    ]  # fmt: skip
    assert is_flagged(world.alice_id)
    assert "not an address" not in caplog.text


def test_a_mail_that_cannot_be_made_waits_until_the_clinic_has_put_it_right(world: World, server: SmtpServer) -> None:
    change(lambda session: put_setting(session, "clinic_name", "Harbour\nStreet"))
    visit = book(world, TEN)
    delivery.deliver_due()
    assert [row.detail for row in messages_of(visit.id)] == ["error ValueError"] * 2
    change(lambda session: put_setting(session, "clinic_name", "Harbour Street"))
    later(1)
    assert {each.to for each in server.received} == {ALICE, CHEN}


def test_a_sender_killed_between_claim_and_record_is_replaced_when_its_lease_ends(
    any_world: World, server: SmtpServer
) -> None:
    visit = book(any_world, TEN)
    assert len(delivery.claim_due(token="dead")) == 2
    delivery.deliver_due()
    assert server.received == []
    later(2)
    assert len(server.received) == 2
    assert told(visit.id)[0] == ("booked", "patient", "sent")


DELIVER = """
import sys
from datetime import datetime
from clinic_portal import clock, create_app
from clinic_portal.notifications import delivery
with create_app().app_context(), clock.clock_at(datetime.fromisoformat(sys.argv[1])):
    delivery.deliver_due()
"""


@pytest.mark.slow
def test_a_sender_killed_in_the_middle_of_a_mail_loses_none(app: Flask, world: World, server: SmtpServer) -> None:
    server.answers[ALICE] = HANG
    visit = book(world, TEN)
    env = {**os.environ, **portal_config(app.config["PORTAL"].data_dir), **smtp(server)}
    sender = subprocess.Popen([sys.executable, "-c", DELIVER, NOW.isoformat()], env=env)
    assert server.hanging.wait(30)
    sender.kill()
    sender.wait()
    server.answers.clear()
    assert {each[2] for each in told(visit.id)} == {"sending"}
    later(2)
    assert told(visit.id) == [("booked", "patient", "sent"), ("booked", "practitioner", "sent")]
    assert [each.to for each in server.received] == [ALICE, CHEN]


def test_a_sender_that_comes_back_late_overwrites_nothing(any_world: World, server: SmtpServer) -> None:
    visit = book(any_world, TEN)
    [first, _] = delivery.claim_due(token="slow")
    later(2)
    late = delivery.Verdict(Delivery.FAILED, "smtp 550 recipient", is_bad_address=True)
    assert delivery.record(first, token="slow", verdict=late) is False
    assert told(visit.id)[0] == ("booked", "patient", "sent")
    assert not is_flagged(any_world.alice_id)


def test_what_does_not_fit_into_one_stretch_of_time_is_given_back(
    world: World, server: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit = book(world, TEN)
    monkeypatch.setattr(delivery, "SEND_FOR_S", -1.0)
    delivery._send_batch(delivery.claim_due(token="short"), "short")
    assert [(row.delivery, row.tries, row.lease) for row in messages_of(visit.id)] == [(Delivery.DUE, 0, None)] * 2
    assert delivery.deliver_due(for_s=0) is False


def deliver_in_two_workers(app: Flask) -> None:
    start = threading.Barrier(2)

    def work() -> None:
        with app.app_context():
            start.wait()
            delivery.deliver_due()
            db.session.remove()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def book_six(world: World) -> None:
    for minute in range(0, 180, 30):
        patient_id = world.alice_id if minute % 60 else world.bob_id
        book(world, at(9, day=1) + timedelta(minutes=minute), patient_id=patient_id, actor=world.erin)


def test_two_workers_at_once_send_each_message_once(any_app: Flask, any_world: World, server: SmtpServer) -> None:
    book_six(any_world)
    deliver_in_two_workers(any_app)
    ids = [each.message_id for each in server.received]
    assert len(ids) == len(set(ids)) == 12


def test_control_without_the_claim_two_workers_send_twice(
    any_app: Flask, any_world: World, server: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = threading.local()

    def claim_nothing(*, token: str) -> list[int]:
        if getattr(seen, "yes", False):
            return []
        seen.yes = True
        return list(db.session().scalars(select(Notification.id).where(Notification.delivery == Delivery.DUE)))

    monkeypatch.setattr(delivery, "claim_due", claim_nothing)
    book_six(any_world)
    deliver_in_two_workers(any_app)
    assert len(server.received) > 12


def test_looking_for_due_messages_uses_the_small_index(world: World) -> None:
    plan = db.session().execute(
        text(f"EXPLAIN QUERY PLAN SELECT id FROM notifications WHERE {delivery._OPEN} AND next_try_at <= '2026'")
    )
    assert "ix_notifications_due" in str(plan.all())


def test_logs_tell_ids_and_codes_only(world: World, server: SmtpServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server.answers[ALICE] = f"550 5.1.1 <{ALICE}> unknown"
    visit = book(world, TEN)
    delivery.deliver_due()
    assert f"notification {messages_of(visit.id)[0].id}: failed, smtp 550 recipient" in caplog.text
    assert "example.com" not in caplog.text
    assert "Alice" not in caplog.text


def test_without_a_mail_server_mails_are_kept_and_can_be_read(data_dir: Path, world: World) -> None:
    with opened(portal_config(data_dir)) as app:
        book(world, TEN)
        delivery.deliver_due()
        config = app.config["PORTAL"]
    heads = list_captured(config.mail_dir)
    assert {head.to for head in heads} == {ALICE, CHEN}
    mail = read_captured(config.mail_dir, next(head.id for head in heads if head.to == ALICE))
    assert mail.subject == "Your appointment on Tuesday 3 March 2026, 10am"
    assert mail.sent_at == NOW
    assert mail.has_html
    assert mail.has_calendar
    assert "Your appointment is booked" in mail.plain


@pytest.mark.parametrize("mail_id", ["../clinic", "..", "", "20260302T080000000000-0000000000000000", "/etc/passwd"])
def test_only_kept_mails_can_be_read(tmp_path: Path, mail_id: str) -> None:
    (tmp_path / "clinic.eml").write_text("no mail of ours")
    (tmp_path / "mail").mkdir()
    with pytest.raises(NotFound):
        read_captured(tmp_path / "mail", mail_id)
    assert list_captured(tmp_path / "mail") == []
