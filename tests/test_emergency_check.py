"""The check that it is no emergency: asked where a visit may be acute, kept with the visit, refused without."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask

from clinic_portal import clock
from clinic_portal.database import db
from clinic_portal.errors import SafetyAnswerMissing
from clinic_portal.models import Appointment, Patient, VisitType
from clinic_portal.patient.reading import write_safety
from clinic_portal.scheduling import booking, holds
from clinic_portal.scheduling.safety import SafetyAnswer, version_of
from clinic_portal.scheduling.search import Search
from tests.bookings import book, move, open_clinic
from tests.test_limits import add_child, change, put_text
from tests.visitor import Visitor, forms_of, words_of
from tests.world import NOW, World, at

SIGNS = "chest pain\n\n  heavy bleeding  "
NINE = "20260303T0900Z"


@pytest.fixture
def alice(app: Flask, world: World) -> Visitor:
    open_clinic(world)
    change(VisitType, world.check_up_id, may_be_acute=True)
    put_text(emergency_signs=SIGNS, emergency_number="999", urgent_advice="Call 111, day or night.")
    return Visitor(app, "alice")


def check_up() -> str:
    return db.session().query(VisitType).filter_by(name="Check-up").one().public_id


def ask(alice: Visitor):  # type: ignore[no-untyped-def]
    """The page that asks, reached by choosing a visit type."""
    return alice.follow(alice.submit(alice.get("/book/visit-type"), visit_type=check_up()))


def visit() -> Appointment:
    db.session().rollback()
    db.session().expire_all()
    return db.session().query(Appointment).one()


def test_the_clinics_own_lines_are_asked_and_the_answer_is_kept_with_the_visit(alice: Visitor, world: World) -> None:
    page = ask(alice)
    says = words_of(page)
    assert "Check this is not an emergency" in says
    assert "999" in says
    assert "chest pain heavy bleeding" in says
    page = alice.follow(alice.submit(page, emergency="none"))
    page = alice.follow(alice.submit(page, needs="none"))
    check = alice.follow(alice.submit(page, start=NINE))
    assert "Emergency check None of these apply" in words_of(check)
    alice.submit(check)
    kept = visit().safety_answer
    assert kept == {"answer": "none_apply", "version": version_of(SIGNS), "answered_at": NOW.isoformat(),
                    "text": ["chest pain", "heavy bleeding"]}  # fmt: skip


def test_whoever_says_yes_is_told_to_call_and_finds_nothing_to_book(alice: Visitor, world: World) -> None:
    page = alice.follow(alice.submit(ask(alice), emergency="apply"))
    says = words_of(page)
    assert "Call 999 now" in says
    assert "Call 111, day or night." in says
    main = page.text[page.text.index("<main") : page.text.index("</main>")]
    assert "/book/" not in main
    assert forms_of(page) == []
    assert 'href="/book/emergency?patient=' in page.text
    assert db.session().query(Appointment).count() == 0


def test_without_an_answer_the_page_asks_again_with_an_error(alice: Visitor, world: World) -> None:
    page = alice.submit(ask(alice), 422)
    assert "Error: Choose whether any of these apply" in words_of(page)
    assert 'href="#emergency"' in page.text


def test_a_visit_type_that_is_never_acute_asks_nothing(alice: Visitor, world: World) -> None:
    vaccine = db.session().get_one(VisitType, world.vaccine_id).public_id
    page = alice.submit(alice.get("/book/visit-type"), visit_type=vaccine)
    assert "/book/help" in page.headers["Location"]
    assert "/book/help" in alice.get(f"/book/emergency?visit_type={vaccine}", 303).headers["Location"]


def test_no_later_page_opens_without_the_answer(alice: Visitor, world: World) -> None:
    for page in ("place", "times"):
        url = f"/book/{page}?visit_type={check_up()}&place=any&needs=none&safety=forged"
        assert "/book/emergency" in alice.get(url, 303).headers["Location"]
    refused = alice.post(f"/book/times?visit_type={check_up()}&place=any&needs=none", start=NINE)
    assert "/book/emergency" in refused.headers["Location"]


def url_with(answer: SafetyAnswer, patient_id: int, visit_type_id: int) -> str:
    patient, visit_type = db.session().get_one(Patient, patient_id), db.session().get_one(VisitType, visit_type_id)
    code = write_safety(answer, patient, visit_type)
    return f"/book/times?patient={patient.public_id}&visit_type={check_up()}&place=any&needs=none&safety={code}"


def test_an_answer_stands_for_two_hours_one_text_one_person_and_one_visit_type(alice: Visitor, world: World) -> None:
    answer = SafetyAnswer(version_of(SIGNS), NOW)
    good = url_with(answer, world.alice_id, world.check_up_id)
    alice.get(good)
    child_id = add_child(world, NOW.date(), "alice")
    alice.get(url_with(answer, world.alice_id, world.vaccine_id), 303)
    child = db.session().get_one(Patient, child_id).public_id
    own = db.session().get_one(Patient, world.alice_id).public_id
    alice.get(good.replace(own, child), 303)
    with clock.clock_at(NOW + timedelta(hours=2)):
        alice.get(good)
    with clock.clock_at(NOW + timedelta(hours=2, seconds=1)):
        alice.get(good, 303)
    put_text(emergency_signs="other signs")
    alice.get(good, 303)


def test_a_text_that_changed_while_it_was_read_is_shown_again(alice: Visitor, world: World) -> None:
    page = ask(alice)
    put_text(emergency_signs="other signs")
    again = alice.submit(page, 422, emergency="none")
    assert "This list has changed" in words_of(again)
    assert "other signs" in words_of(again)


def test_the_service_refuses_to_keep_or_book_without_the_answer(alice: Visitor, world: World) -> None:
    search = Search(world.check_up_id, world.alice_id, account_id=world.accounts["alice"])
    with pytest.raises(SafetyAnswerMissing):
        holds.hold_slot(actor=world.alice, search=search, starts_at=at(9, day=1))
    with pytest.raises(SafetyAnswerMissing):
        booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=1), token="none")
    for wrong in (SafetyAnswer("older", NOW), SafetyAnswer(version_of(SIGNS), NOW - timedelta(hours=3))):
        stale = Search(world.check_up_id, world.alice_id, safety=wrong)
        with pytest.raises(SafetyAnswerMissing):
            booking.reserve_slot(actor=world.alice, search=stale, starts_at=at(9, day=1), token="stale")


def test_the_desk_asks_by_itself_and_a_move_asks_nothing_again(alice: Visitor, world: World) -> None:
    booked = book(world, at(9, day=1), actor=world.erin)
    assert booked.safety_answer is None
    assert move(world, booked, at(10, day=1)).starts_at == at(10, day=1)
    alice.get(f"/appointments/{booked.public_id}/move")


def test_an_answer_that_went_stale_on_the_check_page_is_asked_for_again(alice: Visitor, world: World) -> None:
    page = alice.follow(alice.submit(ask(alice), emergency="none"))
    page = alice.follow(alice.submit(page, needs="none"))
    check = alice.follow(alice.submit(page, start=NINE))
    with clock.clock_at(NOW + timedelta(hours=3)):
        again = alice.follow(alice.submit(check))
        assert "Check this is not an emergency" in words_of(again)
    assert db.session().query(Appointment).count() == 0


def test_back_and_change_lead_through_the_check(alice: Visitor, world: World) -> None:
    asked = ask(alice)
    assert "/book/visit-type" in back_of(asked)
    page = alice.follow(alice.submit(asked, emergency="none"))
    assert "/book/emergency" in back_of(page)
    page = alice.follow(alice.submit(page, needs="none"))
    check = alice.follow(alice.submit(page, start=NINE))
    again = alice.follow(alice.submit(check, change="emergency"))
    assert forms_of(again)[0].fields.get("emergency") is None
    assert "Check your answers" in words_of(alice.follow(alice.submit(again, emergency="none")))


def back_of(page) -> str:  # type: ignore[no-untyped-def]
    return str(page.text.split('nhsuk-back-link" href="')[1].split('"')[0])


def test_the_back_office_shows_what_was_asked_and_answered(app: Flask, alice: Visitor, world: World) -> None:
    safety = SafetyAnswer(version_of(SIGNS), NOW)
    search = Search(world.check_up_id, world.alice_id, safety=safety)
    booked = booking.reserve_slot(actor=world.alice, search=search, starts_at=at(9, day=1), token="one")
    page = Visitor(app, "erin").get(f"/backoffice/appointments/details/?id={booked.public_id}")
    assert "None of these apply" in words_of(page)
    assert "chest pain; heavy bleeding" in words_of(page)
