"""Referrals: entered by the desk, asked for at save as on the page, used up by visits and given back by cancelling."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal.database import db, writing
from clinic_portal.errors import InvalidRequest, NotAllowed, NotForThisPatient, NotFound
from clinic_portal.models import Appointment, Referral, Status, VisitType, WhoMayBook
from clinic_portal.scheduling.booking import change_status
from clinic_portal.scheduling.holds import hold_slot
from clinic_portal.scheduling.referrals import end_referral, enter_referral
from clinic_portal.scheduling.search import Search, load_terms
from clinic_portal.scheduling.times import find_free_times
from tests.bookings import book, cancel, move, open_clinic
from tests.test_rights import public_id
from tests.visitor import Visitor, words_of
from tests.world import NOW, World, at

TODAY = NOW.date()


@pytest.fixture
def clinic(world: World) -> World:
    """Check-ups need a referral; Dr Chen works tomorrow and the days after."""

    @writing
    def ask_for_referrals(session: Session) -> None:
        session.get_one(VisitType, world.check_up_id).who_may_book = WhoMayBook.REFERRED

    ask_for_referrals()
    for day in (1, 2, 3):
        open_clinic(world, day)
    return world


def enter(world: World, days: int = 2, visits: int = 1, **more: object) -> Referral:
    values = {
        "patient_id": world.alice_id, "visit_type_id": world.check_up_id, "from_whom": "Dr Hill, Mill Lane",
        "received_on": TODAY, "valid_until": TODAY + timedelta(days=days), "visits_allowed": visits, **more,
    }  # fmt: skip
    return enter_referral(actor=world.erin, **values)  # type: ignore[arg-type]


def used() -> list[int]:
    db.session().rollback()
    db.session().expire_all()
    return [one.visits_used for one in db.session().scalars(select(Referral).order_by(Referral.id))]


def free_days(world: World) -> list[int]:
    found = find_free_times(db.session(), Search(world.check_up_id, world.alice_id), TODAY, 5)
    return [(day - TODAY).days for day, times in found.items() if times]


# At save as on the page


def test_without_a_referral_nothing_is_offered_and_nothing_accepted(clinic: World) -> None:
    assert free_days(clinic) == []
    assert load_terms(db.session(), Search(clinic.check_up_id, clinic.alice_id)).refusal() is not None
    with pytest.raises(NotForThisPatient, match="needs a referral"):
        book(clinic, at(9, day=1))
    with pytest.raises(NotForThisPatient):
        hold_slot(actor=clinic.alice, search=Search(clinic.check_up_id, clinic.alice_id), starts_at=at(9, day=1))


def test_a_referral_opens_the_days_until_its_last_and_no_others(clinic: World) -> None:
    enter(clinic, days=2)
    assert free_days(clinic) == [1, 2]
    with pytest.raises(NotForThisPatient):
        book(clinic, at(9, day=3))
    visit = book(clinic, at(9, day=2))
    assert (visit.referral_id is not None, used()) == (True, [1])


def test_one_visit_is_one_visit_and_another_patients_referral_helps_nobody(clinic: World) -> None:
    enter(clinic)
    book(clinic, at(9, day=1))
    assert free_days(clinic) == []
    with pytest.raises(NotForThisPatient):
        book(clinic, at(10, day=1))
    with pytest.raises(NotForThisPatient):
        book(clinic, at(10, day=1), patient_id=clinic.bob_id, actor=clinic.bob)


def test_a_cancelled_visit_gives_back_what_it_used_and_only_once(clinic: World) -> None:
    enter(clinic)
    visit = book(clinic, at(9, day=1))
    cancel(clinic, visit)
    assert used() == [0]
    change_status(actor=clinic.erin, appointment_id=visit.id, to=Status.ENTERED_IN_ERROR)
    assert used() == [0]
    wrong = book(clinic, at(9, day=1))
    change_status(actor=clinic.erin, appointment_id=wrong.id, to=Status.ENTERED_IN_ERROR)
    assert used() == [0]


def test_a_visit_is_moved_within_its_referral(clinic: World) -> None:
    enter(clinic)
    visit = book(clinic, at(9, day=1))
    move(clinic, visit, at(10, day=2))
    assert used() == [1]
    with pytest.raises(NotForThisPatient):
        move(clinic, visit, at(10, day=3))


def test_the_referral_that_runs_out_first_is_used_first(clinic: World) -> None:
    late, early = enter(clinic, days=3), enter(clinic, days=1)
    assert book(clinic, at(9, day=1)).referral_id == early.id
    assert book(clinic, at(10, day=1)).referral_id == late.id


def test_the_desk_books_without_a_referral_and_uses_one_that_is_there(clinic: World) -> None:
    assert book(clinic, at(9, day=3), actor=clinic.erin).referral_id is None
    enter(clinic)
    assert book(clinic, at(9, day=1), actor=clinic.erin).referral_id is not None


def test_an_ended_referral_lets_nothing_more_be_booked(clinic: World) -> None:
    referral = enter(clinic, visits=3)
    visit = book(clinic, at(9, day=1))
    end_referral(actor=clinic.erin, patient_id=clinic.alice_id, referral_id=referral.id)
    with pytest.raises(NotForThisPatient):
        book(clinic, at(10, day=1))
    db.session().rollback()
    assert db.session().get_one(Appointment, visit.id).status == Status.BOOKED


# Entering


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"from_whom": ""}, "from_whom"),
        ({"from_whom": "x" * 121}, "from_whom"),
        ({"received_on": TODAY + timedelta(days=1)}, "received_on"),
        ({"valid_until": TODAY - timedelta(days=1)}, "valid_until"),
        ({"valid_until": date(2036, 1, 1)}, "valid_until"),
        ({"visits_allowed": 0}, "visits_allowed"),
        ({"visits_allowed": 101}, "visits_allowed"),
        ({"visit_type_id": 99}, "visit_type"),
        ({"visit_type_id": 2}, "visit_type"),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_field(clinic: World, values: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        enter(clinic, **values)  # type: ignore[arg-type]
    assert refused.value.facts["field"] == field
    assert used() == []


def test_the_same_referral_twice_is_one(clinic: World) -> None:
    assert enter(clinic).id == enter(clinic).id
    assert used() == [0]


def test_only_the_clinic_enters_and_ends(clinic: World) -> None:
    referral = enter(clinic)
    with pytest.raises(NotAllowed):
        enter_referral(actor=clinic.alice, patient_id=clinic.alice_id, visit_type_id=clinic.check_up_id,
                       from_whom="me", received_on=TODAY, valid_until=TODAY, visits_allowed=9)  # fmt: skip
    with pytest.raises(NotAllowed):
        end_referral(actor=clinic.alice, patient_id=clinic.alice_id, referral_id=referral.id)
    with pytest.raises(NotFound):
        end_referral(actor=clinic.erin, patient_id=clinic.bob_id, referral_id=referral.id)


def test_the_desk_enters_a_referral_and_the_patient_books_with_it(app: Flask, clinic: World) -> None:
    erin, alice = Visitor(app, "erin"), Visitor(app, "alice")
    assert "Check-up" not in words_of(alice.get("/book/visit-type"))
    check_up = db.session().get_one(VisitType, clinic.check_up_id).public_id
    page = erin.get(f"/backoffice/patient-referrals/?id={public_id(clinic.alice_id)}")
    fields = {"visit_type": check_up, "from_whom": "Dr Hill", "received_on": "2026-03-01", "visits_allowed": "1"}
    for wrong in ("", "soon", "1/1/2020"):
        refused = erin.submit(page, 422, **fields, valid_until=wrong)
        assert 'value="Dr Hill"' in refused.text
    after = erin.follow(erin.submit(page, **fields, valid_until="2026-03-04"))
    assert "The referral from Dr Hill is entered." in words_of(after)
    assert "Check-up, from Dr Hill, until Wed 4 Mar: 1 left" in words_of(after)
    assert "Check-up" in words_of(alice.get("/book/visit-type"))
    assert "Dr Hill" in words_of(alice.submit(alice.get("/profile/export"), 200))
    book(clinic, at(9, day=1))
    page = erin.get(f"/backoffice/patient-referrals/?id={public_id(clinic.alice_id)}")
    assert "1 of 1 Used up" in words_of(page)
    ended = erin.follow(erin.submit(page, end=str(db.session().scalars(select(Referral.id)).one())))
    assert "ended" in words_of(ended)


def test_where_no_visit_type_asks_for_a_referral_the_page_says_so(app: Flask, world: World) -> None:
    page = Visitor(app, "erin").get(f"/backoffice/patient-referrals/?id={public_id(world.alice_id)}")
    assert "No visit type asks for a referral." in words_of(page)
