"""One person, two records: the desk is told, nobody else, and joining them loses nothing."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.accounts import registering, tokens
from clinic_portal.accounts.passwords import hashed
from clinic_portal.database import db, writing
from clinic_portal.errors import BadTransition, InvalidRequest, NotAllowed, Overlap
from clinic_portal.models import (
    AccessEntry,
    AccessPlace,
    Account,
    AccountInvitation,
    Appointment,
    AuditEntry,
    Base,
    ContactKind,
    ContactPoint,
    Hold,
    IdentityStatus,
    Need,
    Notification,
    Patient,
    PatientAccess,
    PatientNeed,
    PractitionerPreference,
    PreferenceKind,
    Relation,
    RoleName,
    Task,
    TaskKind,
)
from clinic_portal.profile.access import openings_of, record_opening
from clinic_portal.profile.merging import keeper_of, merge_patients, tell_apart
from clinic_portal.profile.needs import change_needs
from clinic_portal.scheduling.holds import hold_slot
from clinic_portal.scheduling.search import Search
from clinic_portal.tasks import open_task
from tests.bookings import book, cancel, open_clinic
from tests.test_entrance import NEW, link_of, mails, register
from tests.visitor import Visitor, words_of
from tests.world import NOW, World, add_patient, add_session, at

# The name and the birth date that everybody of the cast has.
AS_ALICE = {"given_name": "alice", "family_name": "Archer", "birth-day": "4", "birth-month": "5", "birth-year": "1980"}


@pytest.fixture
def erin(app: Flask, world: World) -> Visitor:
    return Visitor(app, "erin")


@writing
def add_twin(session: Session, world: World) -> int:
    """Another record of Alice, told by herself, with Bob's account as its own."""
    twin = add_patient(session, "Alice", "Archer", email=False)
    twin.identity_status = IdentityStatus.SELF_DECLARED
    session.add(PatientAccess(account_id=world.accounts["mallory"], patient_id=twin.id, relation=Relation.SELF,
                              starts_on=date(2026, 3, 1)))  # fmt: skip
    session.add(ContactPoint(patient_id=twin.id, kind=ContactKind.EMAIL, whose=Relation.SELF,
                             value="mallory@example.com"))  # fmt: skip
    return twin.id


def fresh(model: type[Any], **of: Any) -> list[Any]:
    db.session().rollback()
    db.session().expire_all()
    return list(db.session().scalars(select(model).filter_by(**of).order_by(model.id)))


def same_person_tasks() -> list[tuple[int, str | None]]:
    return [(task.patient_id, task.outcome) for task in fresh(Task, kind=TaskKind.SAME_PERSON)]


# Noticing


def test_registering_under_a_known_name_neither_shows_nor_joins_the_record_and_the_desk_gets_a_task(
    app: Flask, world: World
) -> None:
    visitor = Visitor(app)
    unknown = words_of(visitor.follow(register(Visitor(app), email="other@example.net")))
    assert words_of(visitor.follow(register(visitor, **AS_ALICE))) == unknown
    # What strangers type makes no work.
    assert same_person_tasks() == []
    mail = next(mail for mail in mails(app) if mail["To"] == NEW["email"])
    visitor.submit(visitor.get(link_of(mail)))
    (account,) = fresh(Account, email=NEW["email"])
    (right,) = fresh(PatientAccess, account_id=account.id)
    assert right.patient_id != world.alice_id
    assert right.patient.merged_into_id is None
    assert same_person_tasks() == [(right.patient_id, None)]


def test_nobody_is_asked_about_somebody_whom_no_other_record_resembles(app: Flask, world: World) -> None:
    for changed in ({}, {**AS_ALICE, "birth-year": "1981"}, {**AS_ALICE, "family_name": "Arche"}):
        register(Visitor(app), **{"email": f"{len(changed)}{changed.get('family_name', '')}@example.net", **changed})
    for mail in mails(app):
        visitor = Visitor(app)
        visitor.submit(visitor.get(link_of(mail)))
    assert same_person_tasks() == []


def test_an_account_confirmed_by_a_new_password_is_noticed_too(app: Flask, world: World) -> None:
    register(Visitor(app), **AS_ALICE)
    mails(app)
    visitor = Visitor(app)
    visitor.submit(visitor.get("/reset"), email=NEW["email"])
    page = visitor.get(link_of(mails(app)[0]))
    visitor.submit(page, password="another long password", again="another long password")
    assert len(same_person_tasks()) == 1


# Joining


def test_everything_goes_over_and_the_losing_record_says_where(any_app: Flask, any_world: World) -> None:
    world, twin_id = any_world, add_twin(any_world)
    open_clinic(world)
    visit = book(world, at(9, day=1), patient_id=twin_id, actor=world.erin)
    mallory = registering.actor_of(db.session().get_one(Account, world.accounts["mallory"]))
    hold_slot(actor=mallory, search=Search(world.check_up_id, twin_id), starts_at=at(10, day=1))
    change_needs(actor=world.erin, patient_id=twin_id, needs={Need.VISION: None, Need.HEARING: None})
    change_needs(actor=world.erin, patient_id=world.alice_id, needs={Need.VISION: None})

    @writing
    def add_rules(session: Session) -> None:
        for patient_id, practitioner_id, kind in (
            (twin_id, world.chen_id, PreferenceKind.NEVER),
            (world.alice_id, world.chen_id, PreferenceKind.USUAL),
            (twin_id, world.diaz_id, PreferenceKind.USUAL),
        ):
            session.add(PractitionerPreference(patient_id=patient_id, practitioner_id=practitioner_id, kind=kind))
        session.add(ContactPoint(patient_id=twin_id, kind=ContactKind.EMAIL, whose=Relation.SELF,
                                 value="Alice@example.com"))  # fmt: skip
        session.add(AccountInvitation(patient_id=twin_id, code_hash="x", made_at=NOW, expires_at=at(9, day=3)))
        open_task(session, TaskKind.SAME_PERSON, patient_id=twin_id, due_at=NOW)
        for patient_id in (twin_id, world.alice_id):
            open_task(session, TaskKind.REVIEW_RIGHT, patient_id=patient_id, due_at=NOW)

    add_rules()
    merge_patients(actor=world.erin, loser_id=twin_id, winner_id=world.alice_id)
    (moved,) = fresh(Appointment)
    assert (moved.id, moved.patient_id, moved.version) == (visit.id, world.alice_id, 2)
    assert [hold.patient_id for hold in fresh(Hold)] == [world.alice_id]
    assert {row.patient_id for row in fresh(Notification) if row.recipient == "patient"} == {world.alice_id}
    assert [(right.account_id, right.relation) for right in fresh(PatientAccess, patient_id=world.alice_id)] == [
        (world.accounts["alice"], Relation.SELF), (world.accounts["mallory"], Relation.SELF)
    ]  # fmt: skip
    contacts = sorted(fresh(ContactPoint, patient_id=world.alice_id), key=lambda point: point.preferred_rank)
    assert [(point.value, point.ended_at is None) for point in contacts] == [
        ("alice@example.com", True), ("mallory@example.com", True), ("Alice@example.com", False)
    ]  # fmt: skip
    live = [need.kind for need in fresh(PatientNeed, patient_id=world.alice_id, ended_at=None)]
    assert sorted(live) == [Need.HEARING, Need.VISION]
    rules = {rule.practitioner_id: rule.kind for rule in fresh(PractitionerPreference, patient_id=world.alice_id)}
    assert rules == {world.chen_id: PreferenceKind.NEVER, world.diaz_id: PreferenceKind.USUAL}
    assert [code.expires_at for code in fresh(AccountInvitation)] == [NOW]
    assert same_person_tasks() == [(twin_id, "joined")]
    open_now = [(task.patient_id, task.kind) for task in fresh(Task, closed_at=None)]
    assert open_now == [(world.alice_id, TaskKind.REVIEW_RIGHT)]
    assert db.session().get_one(Patient, twin_id).merged_into_id == world.alice_id
    assert [entry.for_patient_id for entry in fresh(AuditEntry, action="merge")] == [twin_id, world.alice_id]


# What nobody may change, or what stands for the record itself, as the parts of its name do.
STAYS = {"access_log", "audit_entries", "patients", "patient_words"}
GOES = {"account_invitations", "appointments", "contact_points", "holds", "notifications", "offers", "patient_access",
        "patient_needs", "patient_practitioner_rules", "referrals", "tasks", "visit_invitations"}  # fmt: skip


def test_every_table_that_points_to_a_patient_is_thought_of() -> None:
    pointing = {
        table.name
        for table in Base.metadata.tables.values()
        for key in table.foreign_keys
        if key.column.table.name == "patients"
    }
    assert pointing == STAYS | GOES


def test_records_with_visits_at_the_same_time_are_not_joined_and_both_visits_are_named(world: World) -> None:
    twin_id = add_twin(world)
    open_clinic(world)
    one = book(world, at(9, day=1), patient_id=twin_id, actor=world.erin)
    open_clinic_of_diaz(world)
    other = book(world, at(9, 15, day=1))
    with pytest.raises(Overlap) as refused:
        merge_patients(actor=world.erin, loser_id=twin_id, winner_id=world.alice_id)
    assert one.reference in str(refused.value)
    assert other.reference in str(refused.value)
    assert [visit.patient_id for visit in fresh(Appointment)] == [twin_id, world.alice_id]
    assert db.session().get_one(Patient, twin_id).merged_into_id is None
    cancel(world, other)
    merge_patients(actor=world.erin, loser_id=twin_id, winner_id=world.alice_id)
    assert {visit.patient_id for visit in fresh(Appointment)} == {world.alice_id}


def open_clinic_of_diaz(world: World) -> None:
    add_session(world.diaz_id, at(9, day=1), at(12, day=1), world.location_id)


def test_joining_is_the_clinics_act_once_and_never_with_the_dead_or_the_joined(world: World) -> None:
    twin_id = add_twin(world)
    with pytest.raises(NotAllowed):
        merge_patients(actor=world.alice, loser_id=twin_id, winner_id=world.alice_id)
    with pytest.raises(NotAllowed):
        tell_apart(actor=world.alice, patient_id=twin_id)
    with pytest.raises(InvalidRequest):
        merge_patients(actor=world.erin, loser_id=twin_id, winner_id=twin_id)
    for _ in range(2):
        merge_patients(actor=world.erin, loser_id=twin_id, winner_id=world.alice_id)
    assert db.session().scalar(select(func.count()).select_from(AuditEntry).filter_by(action="merge")) == 2
    with pytest.raises(BadTransition):
        merge_patients(actor=world.erin, loser_id=world.alice_id, winner_id=twin_id)
    with pytest.raises(NotAllowed):
        book(world, at(9, day=1), patient_id=twin_id, actor=world.erin)

    @writing
    def die(session: Session) -> None:
        session.get_one(Patient, world.bob_id).deceased_on = NOW.date()

    die()
    with pytest.raises(NotAllowed):
        merge_patients(actor=world.erin, loser_id=world.bob_id, winner_id=world.alice_id)


def test_the_record_that_the_clinic_is_surer_of_stays_and_else_the_older_one(world: World) -> None:
    twin = db.session().get_one(Patient, add_twin(world))
    alice, bob = (db.session().get_one(Patient, id_) for id_ in (world.alice_id, world.bob_id))
    assert keeper_of(twin, alice) == keeper_of(alice, twin) == (alice, twin)
    assert keeper_of(bob, alice) == (alice, bob)


def test_old_links_still_lead_to_the_person_and_the_visit(app: Flask, erin: Visitor, world: World) -> None:
    twin_id = add_twin(world)
    open_clinic(world)
    visit = book(world, at(9, day=1), patient_id=twin_id, actor=world.erin)
    record_opening(account_id=world.accounts["erin"], role=RoleName.FRONT_DESK, patient_id=twin_id,
                   place=AccessPlace.PATIENT)  # fmt: skip
    old = db.session().get_one(Patient, twin_id).public_id
    merge_patients(actor=world.erin, loser_id=twin_id, winner_id=world.alice_id)
    for who in ("mallory", "alice"):
        visitor = Visitor(app, who)
        assert "Tuesday 3 March, 9am" in words_of(visitor.get(f"/appointments/{visit.public_id}"))
        assert "Alice Archer" in words_of(visitor.get(f"/profile/{old}"))
        assert visitor.get(f"/book/visit-type?patient={old}").status_code == 200
    Visitor(app, "bob").get(f"/profile/{old}", 404)
    page = erin.get(f"/backoffice/patients/details/?id={old}")
    assert "This record was joined into that of Alice Archer" in words_of(page)
    # Whoever looked at the record before has looked at this person.
    db.session().rollback()
    assert [opening.patient_id for opening in openings_of(db.session(), world.alice_id)] == [twin_id, twin_id]


# The desk's page


def test_the_desk_sees_both_records_and_joins_them(erin: Visitor, world: World) -> None:
    twin_id = add_twin(world)
    (twin,) = fresh(Patient, id=twin_id)
    assert "Is it the same person?" in words_of(erin.get(f"/backoffice/patients/details/?id={twin.public_id}"))
    page = erin.get(f"/backoffice/patient-same/?id={twin.public_id}")
    says = words_of(page)
    assert "E-mail: mallory@example.com" in says
    assert "E-mail: alice@example.com" in says
    assert {entry.patient_id for entry in fresh(AccessEntry)} >= {twin_id, world.alice_id}
    wrong = erin.submit(page, 422, index=1)
    assert "Tick that you have checked" in words_of(wrong)
    after = erin.follow(erin.submit(page, index=1, is_checked="yes"))
    assert "The two records are one now." in words_of(after)
    assert "mallory@example.com" in words_of(after)
    # The same form again leads to the same record.
    assert erin.submit(page, index=1, is_checked="yes").headers["Location"] == after.request.full_path


def test_the_desk_tells_two_people_of_one_name_apart(erin: Visitor, world: World) -> None:
    twin_id = add_twin(world)

    @writing
    def ask(session: Session) -> None:
        open_task(session, TaskKind.SAME_PERSON, patient_id=twin_id, due_at=NOW)

    ask()
    task = fresh(Task)[0]
    shown = erin.get(f"/backoffice/todo/details/?id={task.id}")
    assert "Look at both records" in words_of(shown)
    assert "Close it" not in words_of(shown)
    page = erin.get(f"/backoffice/patient-same/?id={fresh(Patient, id=twin_id)[0].public_id}")
    assert "Noted: this is not the same person." in words_of(erin.follow(erin.submit(page)))
    assert same_person_tasks() == [(twin_id, "not_same")]
    assert fresh(Patient, id=twin_id)[0].merged_into_id is None


def test_an_overlap_is_told_on_the_page(erin: Visitor, world: World) -> None:
    twin_id = add_twin(world)
    open_clinic(world)
    one = book(world, at(9, day=1), patient_id=twin_id, actor=world.erin)
    open_clinic_of_diaz(world)
    book(world, at(9, 15, day=1))
    page = erin.get(f"/backoffice/patient-same/?id={fresh(Patient, id=twin_id)[0].public_id}")
    refused = words_of(erin.submit(page, 422, index=1, is_checked="yes"))
    assert f"Appointments {one.reference} and" in refused
    assert "Cancel or move one first." in refused


def test_the_desk_has_a_day_to_look(world: World) -> None:
    registering.register(
        registering.Person("Alice", "Archer", date(1980, 5, 4), "x@example.net"), hashed("a long password here")
    )
    with clock.clock_at(NOW + timedelta(hours=1)):
        (account,) = fresh(Account, email="x@example.net")
        registering.confirm(token=tokens.make(tokens.Purpose.CONFIRM, account))
    assert fresh(Task)[0].due_at == NOW + timedelta(days=1, hours=1)
