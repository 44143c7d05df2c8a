"""Rights to act for somebody: given and ended by the clinic, by a day, at once, and looked at again."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock, jobs
from clinic_portal.database import db, writing
from clinic_portal.errors import InvalidRequest, NotAllowed, NotFound
from clinic_portal.models import (
    Appointment,
    AuditEntry,
    ContactKind,
    ContactPoint,
    Patient,
    PatientAccess,
    Relation,
    Task,
    TaskKind,
)
from clinic_portal.profile.granting import NewRight, ask_for_reviews, birthday, end_right, give_right
from clinic_portal.scheduling.holds import hold_slot
from clinic_portal.scheduling.search import Search
from clinic_portal.settings import put_setting
from tests.bookings import book, open_clinic
from tests.visitor import Visitor, words_of
from tests.world import NOW, World, add_patient, at

TODAY = NOW.date()
EIGHT = date(2018, 2, 28)


@pytest.fixture
def erin(app: Flask, world: World) -> Visitor:
    return Visitor(app, "erin")


@writing
def add_child(session: Session, born_on: date = EIGHT) -> int:
    child = add_patient(session, "Cleo", "Archer", email=False)
    child.birth_on = born_on
    session.add(ContactPoint(patient_id=child.id, kind=ContactKind.EMAIL, whose=Relation.SELF, value="c@example.com"))
    return child.id


def a_right(
    email: str = "alice@example.com", relation: Relation | None = Relation.PARENT, **more: date | str
) -> NewRight:
    values = {"starts_on": None, "ends_on": None, "evidence_note": "Birth certificate", **more}
    return NewRight(email, relation, **values)  # type: ignore[arg-type]


def give(world: World, patient_id: int, right: NewRight | None = None) -> PatientAccess:
    return give_right(actor=world.erin, patient_id=patient_id, right=right or a_right())


def rights(**of: object) -> list[PatientAccess]:
    db.session().rollback()
    db.session().expire_all()
    return list(db.session().scalars(select(PatientAccess).filter_by(**of).order_by(PatientAccess.id)))


def public_id(patient_id: int) -> str:
    return db.session().get_one(Patient, patient_id).public_id


# Giving


def test_a_parents_right_ends_at_sixteen_and_is_looked_at_at_eleven_unless_the_clinic_set_otherwise(
    world: World,
) -> None:
    given = give(world, add_child())
    assert (given.starts_on, given.ends_on, given.review_on) == (TODAY, date(2034, 2, 28), date(2029, 2, 28))
    assert (given.granted_by_account_id, given.evidence_note) == (world.erin.account_id, "Birth certificate")

    @writing
    def set_ages(session: Session) -> None:
        put_setting(session, "parent_until_age", 18)
        put_setting(session, "right_review_age", 0)

    set_ages()
    given = give(world, add_child(), a_right("bob@example.com"))
    assert (given.ends_on, given.review_on) == (date(2036, 2, 28), None)


def test_others_than_parents_have_an_end_only_if_somebody_says_so(world: World) -> None:
    carer = give(world, world.bob_id, a_right(relation=Relation.CARER))
    assert (carer.ends_on, carer.review_on) == (None, None)
    until = give(world, world.alice_id, a_right("bob@example.com", Relation.OTHER, ends_on=TODAY + timedelta(days=9)))
    assert until.ends_on == TODAY + timedelta(days=9)


def test_a_birthday_on_the_29th_of_february_comes_on_the_first_of_march() -> None:
    assert [birthday(date(2016, 2, 29), age) for age in (4, 11, 16)] == [
        date(2020, 2, 29), date(2027, 3, 1), date(2032, 2, 29)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("right", "field"),
    [
        (a_right("nobody@example.com"), "email"),
        (a_right("x"), "email"),
        (a_right("a\x00@example.com"), "email"),
        (a_right(relation=Relation.SELF), "relation"),
        (a_right(relation=None), "relation"),
        (a_right(ends_on=TODAY), "ends_on"),
        (a_right(starts_on=TODAY + timedelta(days=3), ends_on=TODAY + timedelta(days=3)), "ends_on"),
        (a_right(evidence_note="  "), "evidence_note"),
        (a_right(evidence_note="x" * 201), "evidence_note"),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_field(world: World, right: NewRight, field: str) -> None:
    child_id = add_child()
    with pytest.raises(InvalidRequest) as refused:
        give(world, child_id, right)
    assert refused.value.facts["field"] == field
    assert rights(patient_id=child_id) == []


def test_a_parent_of_somebody_older_needs_another_relation(world: World) -> None:
    with pytest.raises(InvalidRequest, match="ends at 16"):
        give(world, world.bob_id)


def test_the_same_right_again_changes_nothing_and_another_one_waits_for_its_end(world: World) -> None:
    child_id = add_child()
    first = give(world, child_id)
    assert give(world, child_id).id == first.id
    assert len(db.session().scalars(select(AuditEntry.id).filter_by(action="give_right")).all()) == 1
    with pytest.raises(InvalidRequest, match="already"):
        give(world, child_id, a_right(relation=Relation.CARER))
    end_right(actor=world.erin, patient_id=child_id, right_id=first.id)
    again = give(world, child_id, a_right(relation=Relation.CARER))
    assert [(right.relation, right.revoked_at) for right in rights(patient_id=child_id)] == [(Relation.CARER, None)]
    assert again.id == first.id


def test_only_the_clinic_gives_and_ends(world: World) -> None:
    child_id = add_child()
    with pytest.raises(NotAllowed):
        give_right(actor=world.alice, patient_id=child_id, right=a_right())
    given = give(world, child_id)
    with pytest.raises(NotAllowed):
        end_right(actor=world.bob, patient_id=child_id, right_id=given.id)
    with pytest.raises(NotFound):
        end_right(actor=world.erin, patient_id=world.bob_id, right_id=given.id)


def test_sensitive_visits_of_before_are_hidden_from_whoever_gets_a_right(world: World) -> None:
    open_clinic(world)
    teenager, child = add_child(date(2012, 1, 1)), add_child()
    for hour, patient_id in ((9, teenager), (10, child)):
        book(world, at(hour, day=1), visit_type_id=world.vaccine_id, patient_id=patient_id, actor=world.erin)
    book(world, at(11, day=1), patient_id=teenager, actor=world.erin)
    for patient_id in (teenager, child):
        give(world, patient_id)
    db.session().rollback()
    shown = db.session().scalars(select(Appointment.is_private).order_by(Appointment.id))
    assert list(shown) == [True, False, False]


# Ending


ENDS = {
    "ended by the clinic": lambda right: setattr(right, "revoked_at", NOW),
    "ended with the day": lambda right: setattr(right, "ends_on", TODAY),
    "not begun": lambda right: setattr(right, "starts_on", TODAY + timedelta(days=1)),
}


@pytest.mark.parametrize("how", ENDS)
def test_a_right_that_does_not_hold_closes_every_page_at_once(app: Flask, world: World, how: str) -> None:
    open_clinic(world)
    child_id = add_child()
    right = give(world, child_id)
    mother, actor = Visitor(app, "alice"), world.alice
    visit = book(world, at(9, day=1), patient_id=child_id, actor=actor)
    hold = hold_slot(actor=actor, search=Search(world.check_up_id, child_id), starts_at=at(10, day=1))
    contact = db.session().scalars(select(ContactPoint.public_id).filter_by(patient_id=child_id)).one()
    of_child = {
        "/appointments/<public_id>": visit.public_id,
        "/check/<public_id>": hold.public_id,
        "/profile/<person_id>": public_id(child_id),
        "/people/<person_id>": public_id(child_id),
        "/profile/contacts/<contact_id>": contact,
    }
    paths = []
    for rule in app.url_map.iter_rules():
        for start, id_ in of_child.items():
            if rule.rule == start or rule.rule.startswith(f"{start}/"):
                path = rule.rule.replace("<any(email, mobile, landline, post):kind>", "email")
                paths.append((re.sub("<[^>]+>", id_, path), rule))
    assert len(paths) >= 18
    assert any(mother.open(path).status_code == 200 for path, _ in paths)

    @writing
    def stop(session: Session) -> None:
        ENDS[how](session.get_one(PatientAccess, right.id))

    stop()
    for path, rule in paths:
        for method in (rule.methods or set()) & {"GET", "POST"}:
            data = {"csrf_token": mother.csrf_token()} if method == "POST" else None
            assert mother.open(path, method, data=data).status_code == 404, (method, path)
    for path in ("/appointments", "/people", "/profile", "/book/who"):
        assert "Cleo" not in mother.open(path).text
    query = f"patient={public_id(child_id)}"
    for path in ("/book/visit-type", "/book/help", "/book/place", "/book/times", "/book/emergency"):
        if mother.open(path).status_code != 404:
            assert mother.open(f"{path}?{query}").status_code == 404, path


def test_a_right_ends_at_midnight_at_the_clinic(app: Flask, world: World) -> None:
    child_id = add_child()
    give(world, child_id, a_right(ends_on=date(2026, 4, 1)))
    mother = Visitor(app, "alice")
    path = f"/profile/{public_id(child_id)}"
    # Summer time: midnight in London is eleven in the evening UTC.
    with clock.clock_at(NOW.replace(month=3, day=31, hour=22, minute=59)):
        mother.get(path)
    with clock.clock_at(NOW.replace(month=3, day=31, hour=23)):
        mother.get(path, 404)


# Looking again


def test_somebody_is_asked_once_to_look_at_a_right_when_its_day_has_come(world: World) -> None:
    child_id = add_child()
    give(world, child_id)
    with clock.clock_at(NOW.replace(year=2029, month=2, day=27)):
        assert ask_for_reviews() == 0
    with clock.clock_at(NOW.replace(year=2029)):
        assert (ask_for_reviews(), ask_for_reviews()) == (1, 0)
    (task,) = db.session().scalars(select(Task)).all()
    assert (task.kind, task.patient_id, task.appointment_id) == (TaskKind.REVIEW_RIGHT, child_id, None)
    assert "ask for reviews of rights" in {duty.name for duty in jobs.DUTIES}
    end_right(actor=world.erin, patient_id=child_id, right_id=rights(patient_id=child_id)[0].id)
    db.session().rollback()
    assert db.session().scalars(select(Task.outcome)).all() == ["ended"]


def test_nobody_is_asked_about_a_right_that_has_ended(world: World) -> None:
    child_id = add_child()
    end_right(actor=world.erin, patient_id=child_id, right_id=give(world, child_id).id)
    with clock.clock_at(NOW.replace(year=2029)):
        assert ask_for_reviews() == 0


# The desk's page


def test_the_desk_gives_a_right_and_ends_it(app: Flask, erin: Visitor, world: World) -> None:
    child_id = add_child()
    mother = Visitor(app, "alice")
    page = erin.get(f"/backoffice/patient-rights/?id={public_id(child_id)}")
    fields = {"email": "Alice@example.com", "relation": "parent", "evidence_note": "Passport", "ends_on": ""}
    wrong = erin.submit(page, 422, **{**fields, "ends_on": "soon"})
    assert "Enter a day" in words_of(wrong)
    assert 'value="Passport"' in wrong.text
    after = erin.follow(erin.submit(page, **fields))
    assert "alice@example.com may act for Cleo Archer until Tue 28 Feb 2034." in words_of(after)
    assert "Cleo Archer" in words_of(mother.get("/people"))
    page = erin.get(f"/backoffice/patient-rights/?id={public_id(child_id)}")
    assert "Parent Mon 2 Mar Tue 28 Feb 2034 look again Wed 28 Feb 2029 Holds Passport erin@example.com" in (
        words_of(page)
    )
    ended = erin.follow(erin.submit(page, end=str(rights(patient_id=child_id)[0].id)))
    assert "The right has ended." in words_of(ended)
    assert "Cleo Archer" not in words_of(mother.get("/people"))
    for end in ("x", "9" * 30, ""):
        erin.post(f"/backoffice/patient-rights/?id={public_id(child_id)}", 404, end=end)
