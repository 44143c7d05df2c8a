"""Check your answers: each is changed without losing the time, what was written stays, and no time is kept for ever."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import db, writing
from clinic_portal.errors import NotFound, SlotTaken
from clinic_portal.models import (
    ContactKind,
    ContactPoint,
    Hold,
    HoldKind,
    PatientAccess,
    Relation,
    VisitType,
)
from clinic_portal.patient.reading import write_instant
from clinic_portal.scheduling import checkout, holds
from clinic_portal.scheduling.search import Need, Search
from tests.bookings import book, open_clinic
from tests.test_limits import change
from tests.test_modes import NUMBER
from tests.test_patient_pages import hold_of, starts_on, times_url, visits
from tests.visitor import Visitor, forms_of, words_of
from tests.world import NOW, World, add_patient, add_session, at

NOTE = "My left ear rings"


@pytest.fixture
def alice(app: Flask, world: World) -> Visitor:
    open_clinic(world)
    return Visitor(app, "alice")


def holds_now() -> list[Hold]:
    db.session().rollback()
    db.session().expire_all()
    return list(db.session().scalars(select(Hold).order_by(Hold.id)))


def keep(world: World, starts_at: datetime, minutes: int, kind: HoldKind = HoldKind.PATIENT_CHECKOUT) -> datetime:
    """Keep a time so many minutes after eight; until when it is kept."""
    search = Search(world.check_up_id, world.alice_id, account_id=world.accounts["alice"])
    with clock.clock_at(NOW + timedelta(minutes=minutes)):
        return holds.hold_slot(actor=world.alice, search=search, starts_at=starts_at, kind=kind).expires_at


# How long a time is kept


def test_choosing_the_same_time_again_keeps_it_once_longer_and_no_more(world: World) -> None:
    open_clinic(world)
    until = [keep(world, at(9, day=1), minutes) for minutes in (0, 8, 16, 19, 25)]
    assert until == [at(8, 10), at(8, 18), at(8, 20), at(8, 20), at(8, 25)]
    assert holds_now()[-1].is_live(at(8, 25)) is False
    # Another time is another matter, and after an hour so is the same one.
    assert keep(world, at(10, day=1), 26) == at(8, 36)
    assert keep(world, at(9, day=1), 90) == at(9, 40)


def test_the_desk_on_the_phone_keeps_a_time_as_long_as_the_call_lasts(world: World) -> None:
    open_clinic(world)
    until = [keep(world, at(9, day=1), minutes, HoldKind.STAFF_CALL) for minutes in (0, 4, 8, 12, 16)]
    assert until[-1] == at(8, 21)


def test_a_time_that_was_kept_too_often_can_still_be_booked(alice: Visitor, world: World) -> None:
    for minutes in (0, 9, 18):
        keep(world, at(9, day=1), minutes)
    with clock.clock_at(at(8, 21)):
        check = alice.follow(hold_of(alice, world, at(9, day=1)))
        assert "We are no longer keeping this time. You can still try to book it." in words_of(check)
        alice.submit(check)
    assert [visit.starts_at for visit in visits()] == [at(9, day=1)]


# Changing an answer


def test_an_answer_is_changed_and_the_time_and_what_was_written_stay(alice: Visitor, world: World) -> None:
    check = alice.follow(hold_of(alice, world, at(9, day=1)))
    with clock.clock_at(at(8, 4)):
        help_page = alice.follow(alice.submit(check, change="help", note=NOTE))
        assert "Do you need any help" in words_of(help_page)
        again = alice.follow(alice.submit(help_page, needs="step_free"))
    says = words_of(again)
    assert "Check your answers before you book" in says
    assert "Tuesday 3 March, 9am" in says
    assert "Step-free access" in says
    assert "until 8:10am" in says, "changing an answer must not keep the time longer"
    assert NOTE in again.text
    alice.submit(again, note=NOTE)
    (visit,) = visits()
    assert (visit.starts_at, visit.note, visit.wishes["needs"]) == (at(9, day=1), NOTE, ["step_free"])
    assert [hold.note for hold in holds_now()] == [None, None]


@pytest.mark.parametrize("what", ["visit_type", "help"])
def test_from_the_question_whose_answer_was_to_be_changed_one_goes_back_to_checking(
    alice: Visitor, world: World, what: str
) -> None:
    check = alice.follow(hold_of(alice, world, at(9, day=1)))
    check = alice.follow(alice.submit(alice.follow(alice.submit(check, change="help")), needs="step_free"))
    question = alice.follow(alice.submit(check, change=what))
    assert f'nhsuk-back-link" href="{check.request.path}"' in question.text


def test_an_answer_that_the_time_does_not_go_with_leads_to_the_times_and_keeps_the_rest(
    alice: Visitor, world: World
) -> None:
    add_session(world.diaz_id, at(13, day=1), at(15, day=1))
    check = alice.follow(hold_of(alice, world, at(9, day=1)))
    help_page = alice.follow(alice.submit(check, change="help", note=NOTE))
    # Dr Chen is a woman.
    times = alice.follow(alice.submit(help_page, needs="male_clinician"))
    assert "The time that you chose does not go with this answer" in words_of(times)
    assert write_instant(at(9, day=1)) not in starts_on(times)
    assert holds_now()[0].is_live(NOW), "nothing is let go before another time is kept"
    again = alice.follow(alice.submit(times, start=write_instant(at(13, day=1))))
    assert NOTE in again.text
    assert [hold.closed_at is None for hold in holds_now()] == [False, True]


def test_another_time_is_chosen_and_what_was_written_comes_along(alice: Visitor, world: World) -> None:
    check = alice.follow(hold_of(alice, world, at(9, day=1)))
    sent = alice.submit(check, change="time", note=NOTE)
    assert NOTE.replace(" ", "+") not in sent.headers["Location"]
    assert "day=2026-03-03" in sent.headers["Location"]
    again = alice.follow(alice.submit(alice.follow(sent), start=write_instant(at(10, day=1))))
    assert "Tuesday 3 March, 10am" in words_of(again)
    assert NOTE in again.text


def test_another_person_may_have_other_answers_and_never_the_first_ones_words(alice: Visitor, world: World) -> None:
    @writing
    def add_child(session: Session) -> str:
        child = add_patient(session, "Cleo", "Archer", email=False)
        session.add(PatientAccess(account_id=world.accounts["alice"], patient_id=child.id, relation=Relation.PARENT,
                                  starts_on=NOW.date()))  # fmt: skip
        return child.public_id

    child = add_child()
    check = alice.follow(hold_of(alice, world, at(9, day=1)))
    who = alice.follow(alice.submit(check, change="who", note=NOTE))
    # What somebody needs is a question about that person.
    again = alice.follow(alice.submit(alice.follow(alice.submit(who, patient=child)), needs="none"))
    assert "For Cleo Archer" in words_of(again)
    assert NOTE not in again.text
    assert "Tuesday 3 March, 9am" in words_of(again)


def test_an_emergency_check_that_another_visit_type_needs_is_asked_on_the_way_back(
    alice: Visitor, world: World
) -> None:
    change(VisitType, world.vaccine_id, may_be_acute=True)
    check = alice.follow(hold_of(alice, world, at(9, day=1)))
    kinds = alice.follow(alice.submit(check, change="visit_type"))
    vaccine = db.session().get_one(VisitType, world.vaccine_id).public_id
    asked = alice.follow(alice.submit(kinds, visit_type=vaccine))
    assert "Check this is not an emergency" in words_of(asked)
    again = alice.follow(alice.submit(asked, emergency="none"))
    assert "Check your answers" in words_of(again)
    assert "Vaccine, 10 minutes" in words_of(again)


def test_a_change_after_the_time_has_gone_leads_to_other_times(alice: Visitor, world: World) -> None:
    check = alice.follow(hold_of(alice, world, at(9, day=1)))
    with clock.clock_at(at(8, 11)):
        book(world, at(9, day=1), patient_id=world.bob_id, actor=world.bob)
        help_page = alice.follow(alice.submit(check, change="help", note=NOTE))
        times = alice.follow(alice.submit(help_page, needs="none"))
        assert write_instant(at(9, day=1)) not in starts_on(times)
        assert starts_on(times)


def test_a_note_that_is_too_long_is_said_before_anything_is_changed(alice: Visitor, world: World) -> None:
    check = alice.follow(hold_of(alice, world, at(9, day=1)))
    again = alice.submit(check, 422, change="help", note="x" * 201)
    assert "Use no more than 200 characters" in words_of(again)
    assert "x" * 201 in again.text


@pytest.mark.parametrize("what", ["nonsense", "", "\x00", "emergency "])
def test_what_cannot_be_changed_is_not_found_or_not_a_change(alice: Visitor, world: World, what: str) -> None:
    check = alice.follow(hold_of(alice, world, at(9, day=1)))
    alice.post(check.request.path, 404 if what else 303, change=what)


def test_of_a_visit_that_is_moved_only_the_time_can_be_changed(alice: Visitor, world: World) -> None:
    visit = book(world, at(9, day=1))
    page = alice.get(f"/appointments/{visit.public_id}/move")
    check = alice.follow(alice.submit(page, start=write_instant(at(10, day=1))))
    assert forms_of(check)[0].choices == {"change": ["time"]}
    for what in ("help", "who", "contact", "number"):
        alice.post(check.request.path, 404, change=what)
    assert f"/appointments/{visit.public_id}/move" in alice.submit(check, change="time").headers["Location"]


def test_nobody_changes_the_answers_of_somebody_elses_kept_time(app: Flask, alice: Visitor, world: World) -> None:
    check = alice.follow(hold_of(alice, world, at(9, day=1)))
    (hold,) = holds_now()
    search = Search(world.check_up_id, world.bob_id)
    for change_it in (
        lambda: checkout.change_answers(actor=world.bob, hold_id=hold.id, search=search),
        lambda: checkout.keep_written(actor=world.bob, hold_id=hold.id, note=NOTE),
        lambda: checkout.keep_number(actor=world.bob, hold_id=hold.id, number=NUMBER),
    ):
        with pytest.raises(NotFound):
            change_it()
    bob = Visitor(app, "bob")
    bob.post(check.request.path, 404, change="help")
    # With somebody else's id in the address one goes through the questions as if it were not there.
    url = times_url(world, world.bob_id).replace("/book/times", "/book/help") + f"&kept={hold.public_id}"
    assert "/book/times" in bob.submit(bob.get(url), needs="none").headers["Location"]
    assert holds_now()[0].closed_at is None


def test_on_both_databases_changed_answers_keep_the_time_or_change_nothing(any_world: World) -> None:
    add_session(any_world.chen_id, at(9, day=1), at(12, day=1))
    search = Search(any_world.check_up_id, any_world.alice_id, account_id=any_world.accounts["alice"])
    first = holds.hold_slot(actor=any_world.alice, search=search, starts_at=at(9, day=1), note=NOTE)
    shorter = Search(any_world.vaccine_id, any_world.alice_id, account_id=any_world.accounts["alice"])
    second = checkout.change_answers(actor=any_world.alice, hold_id=first.id, search=shorter)
    assert (second.starts_at, second.ends_at, second.expires_at) == (at(9, day=1), at(9, 10, day=1), first.expires_at)
    assert second.note is None, "it was written about another kind of visit"
    impossible = Search(any_world.check_up_id, any_world.alice_id, needs=frozenset({Need.MALE_CLINICIAN}))
    with pytest.raises(SlotTaken):
        checkout.change_answers(actor=any_world.alice, hold_id=second.id, search=impossible)
    with pytest.raises(SlotTaken):
        checkout.change_answers(actor=any_world.alice, hold_id=first.id, search=search)
    live = [hold.id for hold in holds_now() if hold.is_live(NOW)]
    assert live == [second.id]
    booked = book(any_world, at(9, 15, day=1), patient_id=any_world.bob_id, actor=any_world.bob)
    assert booked.starts_at == at(9, 15, day=1)


# How we reach you


def test_the_way_we_reach_somebody_is_told_in_part_and_changed_on_the_way(alice: Visitor, world: World) -> None:
    check = alice.follow(hold_of(alice, world, at(9, day=1)))
    assert "We will e-mail a…@example.com" in words_of(check)
    profile = alice.follow(alice.submit(check, change="contact", note=NOTE))
    assert "Your details" in words_of(profile)
    assert f'nhsuk-back-link" href="{check.request.path}"' in profile.text
    person = holds_now()[0].patient.public_id
    form = alice.get(f"/profile/{person}/contacts/new/mobile")
    again = alice.follow(alice.submit(form, value="07700 900 123", whose="self"))
    assert "Check your answers" in words_of(again)
    assert "The mobile number is saved" in words_of(again)
    assert NOTE in again.text
    assert "nhsuk-back-link" not in alice.get("/profile").text


def test_after_the_time_is_gone_ones_details_are_just_ones_details(alice: Visitor, world: World) -> None:
    check = alice.follow(hold_of(alice, world, at(9, day=1)))
    alice.submit(check, change="contact")
    with clock.clock_at(at(8, 11)):
        assert "nhsuk-back-link" not in alice.get("/profile").text


@pytest.mark.parametrize(("phone", "told"), [("+44 7700 900 362", "We will call +44… 362"), (None, "no way to reach")])
def test_who_has_no_mailbox_is_told_of_the_phone_or_to_note_it_down(
    alice: Visitor, world: World, phone: str | None, told: str
) -> None:
    @writing
    def only(session: Session) -> None:
        session.query(ContactPoint).delete()
        if phone:
            session.add(ContactPoint(patient_id=world.alice_id, kind=ContactKind.MOBILE, value=phone,
                                     whose=Relation.SELF))  # fmt: skip

    only()
    check = alice.follow(hold_of(alice, world, at(9, day=1)))
    assert told in words_of(check)
    assert "900 362" not in words_of(check)
