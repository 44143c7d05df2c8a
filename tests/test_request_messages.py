"""What patients read about their requests, and what leaves only while it is true."""

from __future__ import annotations

from datetime import date

import pytest
from flask import current_app
from sqlalchemy import update
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import writing
from clinic_portal.models import Appointment, ContactPoint, Patient, Relation, VisitType
from clinic_portal.notifications import delivery
from clinic_portal.notifications.captured import list_captured, read_captured
from clinic_portal.scheduling import handling, invitations
from clinic_portal.scheduling.offers import decline_offer
from tests.asking import ask, drain, offers, withdraw
from tests.bookings import messages_of, open_clinic
from tests.test_offers import ask_first, one_time
from tests.test_queue import serve_at
from tests.test_requests import set_up
from tests.world import NOW, World, add_session, at


def sent() -> list[tuple[str, str]]:
    """Subject and plain text of each mail that left, oldest first."""
    delivery.deliver_due()
    folder = current_app.config["PORTAL"].data_dir / "mail"
    heads = sorted(list_captured(folder), key=lambda head: head.id)
    return [(head.subject, read_captured(folder, head.id).plain) for head in heads]


def only_mail() -> tuple[str, str]:
    [mail] = sent()
    return mail


def told_as(visit: Appointment) -> list[tuple[str, str, str | None]]:
    return [(row.event.value, row.delivery.value, row.detail) for row in messages_of(visit.id)]


def test_a_request_is_confirmed_with_its_promise(world: World) -> None:
    visit = ask(world)
    subject, text = only_mail()
    assert subject == "We have your request for an appointment"
    assert "You asked us for an appointment for: Check-up." in text
    assert "We will answer by Wednesday 4 March, 6pm." in text
    assert visit.reference in text


def test_who_is_read_by_a_person_first_is_told_so(world: World) -> None:
    set_up(world.check_up_id, needs_triage=True)
    ask(world)
    assert "Somebody at the clinic reads it first." in only_mail()[1]


def test_on_the_list_with_the_nearest_times(world: World) -> None:
    add_session(world.chen_id, at(14, day=1), at(15, day=1))
    ask(world, from_on=date(2026, 3, 7))
    drain()
    subject, text = only_mail()
    assert subject == "No appointment is free yet that suits you"
    assert "- Tuesday 3 March, 2:30pm, Harbour Street" in text


def test_an_offer_says_the_time_and_until_when_it_is_kept(world: World) -> None:
    one_time(world)
    ask_first(world)
    drain()
    subject, text = only_mail()
    assert subject == "A time is free for you"
    assert "- Thursday 5 March, 9am, Harbour Street" in text
    assert "We keep it for you until Monday 2 March, 12 midday." in text


def test_a_sensitive_visit_is_told_neutrally_everywhere(world: World) -> None:
    """The vaccine is sensitive here: neither its name nor the place, in no message about it."""
    add_session(world.chen_id, at(9, day=3), at(9, 10, day=3))
    visit = ask(world, visit_type_id=world.vaccine_id, is_ask_first=True, from_on=date(2026, 3, 4))
    sent()
    drain()
    sent()
    serve_at(offers(visit)[0].expires_at)
    invitations.invite(actor=world.erin, patient_id=world.bob_id, visit_type_id=world.vaccine_id, token="i",
                       due_from=date(2026, 3, 9), due_until=date(2026, 3, 20), message="Flu")  # fmt: skip
    with clock.clock_at(offers(visit)[0].expires_at):
        mails = sent()
    assert len(mails) == 4
    for subject, text in mails:
        assert not {"Vaccine", "Harbour Street,", "Flu"} & set(f"{subject} {text}".split())
        assert "Vaccine" not in subject + text
        assert "12 Harbour" not in subject + text


def test_an_offer_that_was_answered_or_has_ended_leaves_no_more(world: World) -> None:
    one_time(world)
    visit = ask_first(world)
    drain()
    decline_offer(actor=world.alice, offer_id=offers(visit)[0].id)
    assert sent() == []
    assert ("offer", "superseded", "visit_waitlist") in told_as(visit)


def test_an_offer_is_not_mailed_after_its_end(world: World) -> None:
    one_time(world)
    visit = ask_first(world)
    drain()
    with clock.clock_at(offers(visit)[0].expires_at):
        assert sent() == []
    assert ("offer", "superseded", "lapsed") in told_as(visit)


def test_a_lapsed_offer_a_pause_and_an_end_are_told(world: World) -> None:
    one_time(world)
    visit = ask_first(world)
    drain()
    end = offers(visit)[0].expires_at
    serve_at(end)
    with clock.clock_at(end):
        assert only_mail()[0] == "The time that we kept for you has gone"
    with clock.clock_at(at(9, day=2)):
        withdraw(world, visit, world.erin)
        subject, text = sent()[-1]
    assert subject == "Your request for an appointment"
    assert "Sign in to read our answer." in text


def test_an_invitation_says_from_when_until_when(world: World) -> None:
    invitations.invite(actor=world.erin, patient_id=world.alice_id, visit_type_id=world.check_up_id, token="i",
                       due_from=date(2026, 3, 9), due_until=date(2026, 3, 20))  # fmt: skip
    subject, text = only_mail()
    assert subject == "Please book an appointment"
    assert "We ask you to book an appointment for: Check-up." in text
    assert "On a day from Monday 9 March to Friday 20 March" in text


def test_somebody_elses_mailbox_names_the_patient_and_hears_nothing_private(world: World) -> None:
    @writing
    def to_parent(session: Session) -> None:
        session.execute(update(ContactPoint).values(whose=Relation.PARENT))

    to_parent()
    visit = ask(world)
    assert "For: Alice" in only_mail()[1]

    @writing
    def hide(session: Session) -> None:
        session.execute(update(Appointment).values(is_private=True))

    hide()
    open_clinic(world)
    handling.defer(actor=world.erin, appointment_id=visit.id, until=at(9, day=3))
    with clock.clock_at(at(9, day=3)):
        drain()
    assert len(sent()) == 1
    assert told_as(visit)[-1][:2] == ("waitlisted", "to_call")


def test_nothing_is_sent_to_somebody_who_died(world: World) -> None:
    visit = ask(world)

    @writing
    def die(session: Session) -> None:
        session.execute(update(Patient).where(Patient.id == world.alice_id).values(deceased_on=NOW.date()))

    die()
    assert sent() == []
    assert told_as(visit) == [("request_received", "superseded", "deceased")]


@pytest.mark.parametrize("name", ["Check-up & <b>more</b>"])
def test_html_is_laid_out_and_escaped(world: World, name: str) -> None:
    @writing
    def rename(session: Session) -> None:
        session.execute(update(VisitType).where(VisitType.id == world.check_up_id).values(name=name))

    rename()
    ask(world)
    delivery.deliver_due()
    folder = current_app.config["PORTAL"].data_dir / "mail"
    [head] = list_captured(folder)
    mail = read_captured(folder, head.id)
    assert mail.html is not None
    assert "Check-up &amp; &lt;b&gt;more&lt;/b&gt;" in mail.html
    assert "<h1" in mail.html


def test_an_offer_speaks_its_readers_language(world: World) -> None:
    @writing
    def speak_german(session: Session) -> None:
        session.execute(update(Patient).values(preferred_language="de"))

    speak_german()
    one_time(world)
    ask_first(world)
    drain()
    subject, text = only_mail()
    assert subject == "Für Sie ist eine Zeit frei"
    assert "- Donnerstag, 5.\N{NO-BREAK SPACE}März, 09:00\N{NO-BREAK SPACE}Uhr, Harbour Street" in text
    assert "Wir halten sie für Sie frei bis Montag, 2.\xa0März, 12:00\xa0Uhr." in text
