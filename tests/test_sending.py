"""Going back, changing an answer, keeping it private: what is asked of the clinic is sent once, with nothing lost."""

from __future__ import annotations

import re
from datetime import date, timedelta
from html import unescape
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.accounts.drafts import forget_old_drafts
from clinic_portal.audit import Actor, ActorKind
from clinic_portal.database import db, writing
from clinic_portal.models import (
    Appointment,
    CancelledBy,
    Patient,
    PatientAccess,
    Relation,
    RequestDraft,
    Status,
    TaskKind,
    VisitInvitation,
    VisitType,
)
from clinic_portal.scheduling import invitations, requests
from tests.asking import ask, drain, fresh, offers, open_tasks, status
from tests.bookings import book, open_clinic
from tests.invariants import check_invariants
from tests.test_asking_pages import HTMX, about, asked, look_url, send, to_check
from tests.visitor import Visitor, words_of
from tests.world import NOW, World, add_session, at


@pytest.fixture
def alice(app: Flask, world: World) -> Visitor:
    return Visitor(app, "alice")


def count() -> int:
    db.session().rollback()
    return db.session().scalars(select(func.count()).select_from(Appointment)).one()


@writing
def let_mallory_act(session: Session, world: World, relation: Relation = Relation.CARER) -> None:
    """Mallory may act for Alice, who is fifteen from now on."""
    session.get_one(Patient, world.alice_id).birth_on = date(2011, 1, 1)
    session.add(
        PatientAccess(
            account_id=world.accounts["mallory"], patient_id=world.alice_id, relation=relation,
            starts_on=date(2020, 1, 1),
        )
    )  # fmt: skip


def invited(world: World, **more: Any) -> VisitInvitation:
    return invitations.invite(
        actor=world.erin, patient_id=world.alice_id, visit_type_id=world.check_up_id, token="invitation",
        **{"due_from": date(2026, 3, 10), "due_until": date(2026, 3, 20), **more},
    )  # fmt: skip


# Back


def test_going_back_and_sending_again_makes_no_second_request(alice: Visitor, world: World) -> None:
    open_clinic(world)
    check = to_check(alice, world)
    alice.submit(check, note="My ear rings")
    visit = asked()
    drain()
    assert status(visit) == "booked"
    back = alice.open(check.request.full_path)
    assert back.headers["Location"] == f"/requests/{visit.public_id}"
    assert "You have sent this already" in words_of(alice.follow(alice.follow(back, 303)))
    written_anew = alice.submit(check, note="Something else")
    assert written_anew.headers["Location"] == f"/requests/{visit.public_id}"
    assert count() == 1
    assert fresh(visit).note == "My ear rings"


def test_a_change_that_is_sent_again_after_the_queue_booked_leads_there(alice: Visitor, world: World) -> None:
    visit = send(alice, world)
    check = alice.follow(alice.get(f"/requests/{visit.public_id}/change", 303))
    alice.submit(check, note="Now with a note")
    assert fresh(visit).note == "Now with a note"
    add_session(world.chen_id, at(9, day=1), at(10, day=1))
    drain()
    alice.submit(check, note="Now with a note")
    assert (status(visit), fresh(visit).note) == ("booked", "Now with a note")


# Changing an answer


def test_what_is_written_survives_the_change_of_an_answer(alice: Visitor, world: World) -> None:
    let_mallory_act(world)
    check = to_check(alice, world)
    when = alice.follow(alice.submit(check, note="My ear rings", private="yes", change="when"))
    assert "When could you come?" in words_of(when)
    db.session().rollback()
    draft = db.session().scalars(select(RequestDraft)).one()
    assert "ear" not in draft.sealed
    check = alice.follow(
        alice.post(when.request.full_path, weekdays=["4"], parts=["morning"], warning="0", first="ask")
    )
    assert "My ear rings" in check.text
    assert re.search(r'name="private" type="checkbox"[^>]* checked', check.text)
    alice.submit(check, note="My ear rings", private="yes")
    visit = asked()
    assert (visit.note, visit.is_private, visit.is_ask_first) == ("My ear rings", True, True)
    with clock.clock_at(NOW + timedelta(hours=1)):
        forget_old_drafts()
    assert not db.session().scalars(select(RequestDraft)).all()


def test_answers_that_are_no_rows_and_notes_too_long_are_refused(alice: Visitor, world: World) -> None:
    check = to_check(alice, world)
    alice.submit(check, 404, change="doctor")
    refused = alice.submit(check, 422, note="x" * 201, change="when")
    assert "Use no more than 200 characters" in words_of(refused)
    assert "x" * 201 in refused.text


# Private


def test_a_request_is_kept_from_who_acts_for_its_patient(app: Flask, alice: Visitor, world: World) -> None:
    let_mallory_act(world)
    mallory = Visitor(app, "mallory")
    visit = send(alice, world)
    mallory.get(f"/requests/{visit.public_id}")
    check = alice.follow(alice.get(f"/requests/{visit.public_id}/change", 303))
    alice.submit(check, private="yes")
    assert fresh(visit).is_private
    mallory.get(f"/requests/{visit.public_id}", 404)
    # Who may not know of it is told that there is one, but not where.
    theirs = to_check(mallory, world)
    assert "Keep this appointment private" not in words_of(theirs)
    assert visit.public_id not in mallory.submit(theirs, 409).text


def test_nobody_is_asked_to_hide_what_nobody_could_see(alice: Visitor, world: World) -> None:
    assert 'name="private"' not in to_check(alice, world).text


# A time that is booked by hand


def test_a_request_becomes_the_visit_whose_time_its_patient_chose(world: World) -> None:
    visit = ask(world, from_on=date(2026, 3, 4), note="My ear rings")
    drain()
    assert status(visit) == "waitlist"
    open_clinic(world)
    with clock.clock_at(NOW + timedelta(hours=3)):
        booked = book(world, at(9, day=1))
    assert booked.id == visit.id
    assert (booked.status, booked.starts_at, booked.note) == (Status.BOOKED, at(9, day=1), "My ear rings")
    assert (booked.requested_at, booked.booked_at) == (NOW, NOW + timedelta(hours=3))
    assert (booked.next_try_at, booked.escalate_at) == (None, None)
    check_invariants(db.session())


def test_what_is_kept_for_a_request_is_freed_when_its_patient_books_another_time(world: World) -> None:
    add_session(world.chen_id, at(9, day=3), at(9, 30, day=3))
    visit = ask(world, is_ask_first=True)
    drain()
    assert [offer.state for offer in offers(visit)] == ["open"]
    open_clinic(world)
    assert book(world, at(9, day=1)).id == visit.id
    assert [offer.state for offer in offers(visit)] == ["withdrawn"]
    bob = Actor(ActorKind.PATIENT, world.accounts["bob"])
    assert book(world, at(9, day=3), patient_id=world.bob_id, actor=bob).starts_at == at(9, day=3)
    check_invariants(db.session())


def test_who_had_to_be_looked_at_first_is_looked_at_no_more(world: World) -> None:
    @writing
    def triage(session: Session) -> None:
        session.get_one(VisitType, world.check_up_id).needs_triage = True

    triage()
    visit = ask(world)
    assert open_tasks(visit) == [TaskKind.TRIAGE]
    open_clinic(world)
    book(world, at(9, day=1))
    assert open_tasks(visit) == []


def test_a_private_request_is_not_turned_into_what_somebody_else_books(world: World) -> None:
    let_mallory_act(world)
    visit = ask(world)

    @writing
    def hide(session: Session) -> None:
        session.get_one(Appointment, visit.id).is_private = True

    hide()
    open_clinic(world)
    mallory = Actor(ActorKind.PROXY, world.accounts["mallory"])
    booked = book(world, at(9, day=1), actor=mallory)
    assert booked.id != visit.id
    assert status(visit) == "proposed"
    assert not booked.is_private
    assert book(world, at(10, day=1)).is_private, "its own patient's choice is as private as the request"


# Invitations


def test_only_the_days_of_an_invitation_are_shown_and_booked(alice: Visitor, world: World) -> None:
    for day in (1, 9, 30):
        open_clinic(world, day)
    made = invited(world)
    page = alice.get("/")
    link = re.search(r'href="(/book/times[^"]*)"', page.text)
    assert link is not None
    found = alice.open(unescape(link.group(1)))
    while found.status_code == 303:
        found = alice.open(found.headers["Location"])
        if "Do you need any help" in words_of(found):
            found = alice.submit(found, needs="none")
    says = words_of(found)
    assert "on a day from Tuesday 10 March to Friday 20 March" in says
    assert "Wednesday 11 March" in says
    assert "Tuesday 3 March" not in says
    path = found.request.full_path
    assert "one of the days of the invitation" in words_of(alice.post(path, 422, start="20260303T0900Z"))
    check = alice.follow(alice.post(path, start="20260311T0900Z"))
    other_time = alice.follow(alice.submit(check, change="time"))
    assert "on a day from Tuesday 10 March to Friday 20 March" in words_of(other_time)
    alice.submit(check)
    visit = asked()
    assert visit.starts_at == at(9, day=9)
    invitations.note_used_invitations()
    assert db.session().get_one(VisitInvitation, made.id, populate_existing=True).used_by_appointment_id == visit.id
    alice.get(path, 404)


def test_an_invitation_reaches_beyond_what_can_be_booked_otherwise(alice: Visitor, world: World) -> None:
    add_session(world.chen_id, at(9, day=60), at(10, day=60))
    made = invited(world, due_from=date(2026, 4, 25), due_until=date(2026, 5, 10))
    assert "There are no times online" in words_of(alice.get(f"/book/times?{about(world)}"))
    assert "Friday 1 May" in words_of(alice.get(f"/book/times?{about(world, invitation=made.public_id)}"))


def test_an_invitation_whose_days_are_within_the_notice_shows_no_times(alice: Visitor, world: World) -> None:
    add_session(world.chen_id, at(9), at(9, 30))
    made = invited(world, due_from=date(2026, 3, 1), due_until=date(2026, 3, 2))
    assert "There are no times online" in words_of(alice.get(f"/book/times?{about(world, invitation=made.public_id)}"))


def test_for_another_kind_of_visit_there_is_no_invitation(alice: Visitor, world: World) -> None:
    made = invited(world)
    page = alice.get(f"/book/visit-type?{about(world, invitation=made.public_id)}")
    vaccine = db.session().get_one(VisitType, world.vaccine_id).public_id
    assert "invitation" not in alice.submit(page, visit_type=vaccine).headers["Location"]


# Watching all of them


def test_the_first_page_says_what_waits_and_looks_by_itself(app: Flask, alice: Visitor, world: World) -> None:
    invited(world)
    visit = ask(world, visit_type_id=world.vaccine_id)
    page = alice.get("/")
    assert "Please book an appointment" in words_of(page)
    assert "Your request Vaccine" in words_of(page)
    assert alice.open(look_url(page), headers=HTMX).status_code == 204
    add_session(world.chen_id, at(9, day=1), at(10, day=1))
    add_session(world.diaz_id, at(9, day=1), at(10, day=1))
    drain()
    part = alice.open(look_url(page), headers=HTMX)
    assert "<html" not in part.text
    assert "We found a time for you. Tuesday 3 March, 9am" in words_of(part)
    assert look_url(part) == ""
    alice.get(look_url(page), 303)
    # Somebody else's request is nobody's news.
    bob = Visitor(app, "bob")
    assert visit.public_id not in bob.open(look_url(page), headers=HTMX).text
    assert "Your request" not in words_of(Visitor(app).get("/"))


def test_a_promise_that_was_not_kept_is_not_given_again(alice: Visitor, world: World) -> None:
    visit = ask(world)
    with clock.clock_at(at(9, day=5)):
        says = words_of(alice.get(f"/requests/{visit.public_id}"))
    assert "We wanted to answer by Wednesday 4 March, 6pm, and have not. We are sorry." in says
    assert "We answer by" not in says


def test_a_request_that_the_clinic_ended_does_not_say_that_it_was_taken_back(alice: Visitor, world: World) -> None:
    visit = ask(world)
    requests.withdraw_request(actor=world.erin, appointment_id=visit.id, token="the-clinic-ends-it")
    assert fresh(visit).cancelled_by is CancelledBy.CLINIC
    assert "The clinic has ended this request" in words_of(alice.get(f"/requests/{visit.public_id}"))


# Earlier times


def test_who_took_an_earlier_time_reads_moved_and_who_was_late_what_they_still_have(
    alice: Visitor, world: World
) -> None:
    open_clinic(world, 8)
    visit = book(world, at(10, day=8))
    alice.post(f"/appointments/{visit.public_id}/earlier", weekdays=[str(day) for day in range(7)], parts=["morning"],
               warning="0")  # fmt: skip
    add_session(world.chen_id, at(9, day=3), at(9, 30, day=3))
    drain()
    (offer,) = offers(visit)
    with clock.clock_at(offer.expires_at):
        says = words_of(alice.get(f"/offers/{offer.public_id}", 410))
    assert "You still have Tuesday 10 March, 10am. If another earlier time becomes free, we tell you." in says
    taken = alice.post(f"/offers/{offer.public_id}", answer="take")
    assert "Appointment moved" in words_of(alice.follow(taken))
