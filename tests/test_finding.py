"""Search from everywhere in the back office: what a line means, whom it finds, by which index, and who may."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal.backoffice import finding
from clinic_portal.backoffice.finding import look_for, read
from clinic_portal.database import db, writing
from clinic_portal.models import (
    AccessEntry,
    Appointment,
    ContactKind,
    ContactPoint,
    Patient,
    PatientWord,
    Relation,
    RoleGrant,
    fold,
)
from tests.bookings import book
from tests.statements import sent_statements
from tests.visitor import Visitor, words_of
from tests.world import NOW, World, add_patient, add_session, at

SEARCH = "/backoffice/search/"


@writing
def change(session: Session, what: Callable[[Session], object]) -> None:
    what(session)


@writing
def add(session: Session, given: str, family: str, born: date = date(1980, 5, 4), phone: str = "",
        called: str = "") -> int:  # fmt: skip
    patient = add_patient(session, given, family, email=False)
    patient.search_name = fold(f"{family} {given}")
    patient.birth_on, patient.called_name = born, called or given
    if phone:
        session.add(ContactPoint(patient_id=patient.id, kind=ContactKind.MOBILE, whose=Relation.SELF, value=phone))
    return patient.id


def found(text: str) -> set[int]:
    return {one.patient.id for one in look_for(text, None).people}


@pytest.fixture
def erin(app: Flask, world: World) -> Visitor:
    return Visitor(app, "erin")


def test_parts_of_a_name_are_found_in_any_order_and_without_accents(world: World) -> None:
    renee = add("Renée Marie", "O'Hara-Müller", called="Nell")
    other = add("Marie", "Miller")
    for text in ("renee", "OHARA", "muller", "mar muller", "Müller, Renée", "mull ren", "nell"):
        assert found(text) == {renee}, text
    assert found("marie") == {renee, other}
    assert found("mar mi") == {other}
    assert found("arie") == set(), "only beginnings are found"
    assert found("renee archer") == set()


def test_a_name_that_changes_is_found_by_its_new_parts_only(world: World) -> None:
    changed = add("Wanda", "Walker")
    change(lambda session: setattr(session.get_one(Patient, changed), "search_name", "runner wanda"))
    assert found("walker") == set()
    assert found("runner") == {changed}
    words = db.session().scalars(select(PatientWord.word).filter_by(patient_id=changed)).all()
    assert sorted(words) == ["runner", "wanda"]


@pytest.mark.parametrize(
    "text",
    ["3/2/1990", "03.02.1990", "3-2-1990", "1990-02-03", "03 02 1990", "3 Feb 1990", "3 February 1990", "03021990",
     "3.2.90", "3/2/90", "walker 3/2/1990", "1990-02-03 wan"],
)  # fmt: skip
def test_a_birth_date_is_found_in_any_usual_order(world: World, text: str) -> None:
    wanda = add("Wanda", "Walker", date(1990, 2, 3))
    add("Wanda", "Walker", date(1990, 3, 2))
    assert found(text) == {wanda}


def test_a_year_of_two_digits_is_of_either_century(world: World) -> None:
    old, young = add("A", "Aa", date(1920, 2, 3)), add("B", "Bb", date(2020, 2, 3))
    assert found("3.2.20") == {old, young}
    assert read("3.2.90").born == (date(1990, 2, 3),), "nobody is born in the future"


def test_a_month_that_can_be_none_is_the_day(world: World) -> None:
    assert read("2/25/1990").born == read("25/2/1990").born == (date(1990, 2, 25),)
    assert read("31/31/1990").born == ()


def test_the_end_of_a_phone_number_is_found_however_it_is_written(world: World) -> None:
    wanda = add("Wanda", "Walker", phone="+44 20 7946 0555")
    add("Walter", "Walker", phone="+44 20 7946 1555")
    for text in ("0555", "6 0555", "7946-0555", "020 7946 0555", "+44 20 7946 0555", "walk 0555"):
        assert found(text) == {wanda}, text
    assert look_for("55", None).is_too_short
    change(lambda session: [setattr(point, "ended_at", NOW) for point in session.scalars(select(ContactPoint))])
    assert found("0555") == set()


def test_a_reference_finds_its_visit_where_one_may_see_it(world: World) -> None:
    add_session(world.chen_id, at(9), at(12), world.location_id)
    visit = book(world, at(9), actor=world.erin)
    for text in (visit.reference, visit.reference.lower(), f"{visit.reference[:3]} {visit.reference[3:]}"):
        result = look_for(text, None).visit
        assert result is not None
        assert result.id == visit.id
    assert look_for(visit.reference, frozenset([world.second_location_id])).visit is None


def test_the_next_visit_is_one_that_the_reader_may_see(world: World) -> None:
    add_session(world.chen_id, at(9, day=1), at(12, day=1), world.location_id)
    visit = book(world, at(9, day=1), actor=world.erin)
    assert [one.next_visit and one.next_visit.id for one in look_for("archer", None).people] == [visit.id]
    elsewhere = frozenset([world.second_location_id])
    assert [one.next_visit for one in look_for("archer", elsewhere).people] == [None]


def test_records_joined_into_others_are_not_found(world: World) -> None:
    gone = add("Alicia", "Archer")
    change(lambda session: setattr(session.get_one(Patient, gone), "merged_into_id", world.alice_id))
    assert found("archer") == {world.alice_id}


def test_too_little_is_not_searched_for_and_much_is_cut(world: World) -> None:
    for text in ("a", "1", "-", "%", "_"):
        assert look_for(text, None).is_too_short, text
    for number in range(finding.MOST + 3):
        add(f"Given{number}", "Same")
    result = look_for("same", None)
    assert (len(result.people), result.is_cut) == (finding.MOST, True)


def test_the_questions_are_few_and_each_is_answered_by_an_index(world: World) -> None:
    add("Wanda", "Walker", phone="020 7946 0555")
    for text, index in (("walk wan", "ix_patient_words_word"), ("0555", "ix_contact_points_phone_tail"),
                        ("4.5.1980 archer", "ix_patients_birth_on")):  # fmt: skip
        with sent_statements() as seen:
            look_for(text, None)
        assert len(seen) <= 5, text
        query = finding._people(read(text)).limit(finding.MOST + 1)
        sql = str(query.compile(db.engine, compile_kwargs={"literal_binds": True}))
        plan = " | ".join(row[3] for row in db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}"))
        assert index in plan, plan
        assert "SCAN" not in plan.replace("SCAN CONSTANT", ""), plan


def test_both_databases_find_the_same(any_app: Flask, any_world: World) -> None:
    wanda = add("Wanda", "Walker", date(1990, 2, 3), phone="020 7946 0555")
    add("Walter", "Wanderer")
    for text in ("walk wand", "0555", "3.2.1990", "wanda 3/2/90"):
        assert found(text) == {wanda}, text
    assert found("%%") == found("__") == set()


def test_every_page_has_the_box_and_what_is_typed_stands_in_no_address_nor_log(
    world: World, erin: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for path in ("/backoffice/", "/backoffice/settings/", "/backoffice/requests/"):
        page = erin.get(path).text
        assert f'action="{SEARCH}"' in page
        assert 'name="search"' in page
    answer = erin.post(SEARCH, 200, search="archer")
    assert "Alice Archer" in words_of(answer)
    assert answer.request.full_path == f"{SEARCH}?"
    assert "archer" not in json.dumps([record.getMessage() + str(record.__dict__) for record in caplog.records]).lower()
    assert "archer" not in erin.get(f"{SEARCH}?search=archer").text, "an address does not search"


def test_the_box_gets_only_what_was_found(world: World, erin: Visitor) -> None:
    token = erin.csrf_token()
    answer = erin.open(SEARCH, "POST", data={"csrf_token": token, "search": "archer"}, headers={"HX-Request": "true"})
    assert "<html" not in answer.text
    assert "Alice Archer" in answer.text
    patient = db.session().get_one(Patient, world.alice_id)
    assert f'href="/backoffice/patients/details/?id={patient.public_id}"' in answer.text
    for page in ("walk-in", "patient-ask"):
        assert f'href="/backoffice/{page}/?id={patient.public_id}"' in answer.text


def test_finding_is_not_opening_and_opening_is_noted(world: World, erin: Visitor) -> None:
    erin.post(SEARCH, 200, search="archer")
    db.session().rollback()
    assert db.session().scalars(select(AccessEntry)).all() == []
    patient = db.session().get_one(Patient, world.alice_id)
    erin.get(f"/backoffice/patients/details/?id={patient.public_id}")
    db.session().rollback()
    assert db.session().scalars(select(AccessEntry.patient_id)).all() == [world.alice_id]


def test_a_desk_of_another_place_finds_people_and_not_their_visits(world: World, erin: Visitor) -> None:
    add_session(world.chen_id, at(9, day=1), at(12, day=1), world.location_id)
    visit = book(world, at(9, day=1), actor=world.erin)

    def limit(session: Session) -> None:
        grant = session.scalars(select(RoleGrant).filter_by(account_id=world.accounts["erin"])).one()
        grant.location_id = world.second_location_id

    change(limit)
    page = erin.post(SEARCH, 200, search="archer").text
    assert "Alice Archer" in page
    assert visit.public_id not in page
    assert visit.public_id not in erin.post(SEARCH, 200, search=visit.reference).text


def test_nobody_died_is_taken_in(world: World, erin: Visitor) -> None:
    change(lambda session: setattr(session.get_one(Patient, world.alice_id), "deceased_on", NOW.date() - timedelta(1)))
    page = erin.post(SEARCH, 200, search="archer").text
    assert "Died Sun 1 Mar" in page
    assert "walk-in/?id=" not in page
    assert db.session().scalars(select(Appointment)).all() == []
