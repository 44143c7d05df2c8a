"""Private visits: whoever acts for a patient neither sees them nor hears of them, wherever they look."""

from __future__ import annotations

from datetime import date

import pytest
from flask import Flask, current_app
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor, ActorKind
from clinic_portal.database import db, writing
from clinic_portal.errors import NotAllowed, SubmissionConflict, TooManyOpenVisits, VersionConflict
from clinic_portal.models import (
    Appointment,
    AuditEntry,
    ContactKind,
    ContactPoint,
    Delivery,
    Hold,
    Notification,
    Patient,
    PatientAccess,
    Relation,
    Status,
    VisitType,
)
from clinic_portal.notifications import delivery
from clinic_portal.notifications.captured import list_captured
from clinic_portal.patient.reading import write_instant
from clinic_portal.scheduling import booking, holds
from clinic_portal.scheduling.askers import read_askers, terms_for
from clinic_portal.scheduling.continuity import SEEN_LAST
from clinic_portal.scheduling.invitations import invite
from clinic_portal.scheduling.picture import KindKey, Picture
from clinic_portal.scheduling.privacy import set_private
from clinic_portal.scheduling.search import Search, load_terms
from clinic_portal.settings import put_setting
from tests.bookings import book, open_clinic, told
from tests.test_patient_pages import hold_of, times_url, visits
from tests.visitor import Visitor, words_of
from tests.world import World, add_patient, add_session, at

TEENAGER, CHILD = date(2010, 6, 1), date(2016, 6, 1)


@writing
def add_cora(session: Session, world: World, born_on: date = TEENAGER) -> int:
    """Cora, Alice's daughter. She signs in as Mallory does; her mother books for her until she is 16."""
    cora = add_patient(session, "Cora", "Archer", email=False)
    cora.birth_on = born_on
    session.add_all([
        PatientAccess(account_id=world.accounts["mallory"], patient_id=cora.id, relation=Relation.SELF,
                      starts_on=date(2025, 1, 1)),
        PatientAccess(account_id=world.accounts["alice"], patient_id=cora.id, relation=Relation.PARENT,
                      starts_on=date(2020, 1, 1), ends_on=date(2026, 6, 1)),
        ContactPoint(patient_id=cora.id, kind=ContactKind.EMAIL, whose=Relation.PARENT, value="alice@example.com"),
        ContactPoint(patient_id=cora.id, kind=ContactKind.EMAIL, whose=Relation.SELF, value="cora@example.com",
                     preferred_rank=2),
    ])  # fmt: skip
    return cora.id


@pytest.fixture
def cora_id(world: World) -> int:
    open_clinic(world)
    return add_cora(world)


@pytest.fixture
def cora(app: Flask, world: World) -> Visitor:
    return Visitor(app, "mallory")


@pytest.fixture
def mother(app: Flask, world: World) -> Visitor:
    return Visitor(app, "alice")


def herself(world: World) -> Actor:
    return Actor(ActorKind.PATIENT, world.accounts["mallory"])


def by_mother(world: World) -> Actor:
    return Actor(ActorKind.PROXY, world.accounts["alice"])


def mailed_to() -> list[str]:
    """The addresses that mails to patients were sent to, when what is due is sent now."""
    delivery.deliver_due()
    found = [mail.to for mail in list_captured(current_app.config["PORTAL"].mail_dir)]
    return sorted(address for address in found if address not in ("chen@example.com", "diaz@example.com"))


# What is private


def test_the_patient_keeps_a_visit_private_while_checking_the_answers(
    cora: Visitor, mother: Visitor, cora_id: int, world: World
) -> None:
    check = cora.follow(hold_of(cora, world, at(9, day=1), cora_id))
    assert "Keep this appointment private from people who book for me" in words_of(check)
    assert "checked" not in check.text
    booked = cora.follow(cora.submit(check, private="yes"))
    (visit,) = visits()
    assert visit.is_private
    assert "Appointment booked" in words_of(booked)
    assert "Tuesday 3 March, 9am" in words_of(cora.get("/appointments"))
    assert "3 March" not in words_of(mother.get("/appointments"))
    assert mailed_to() == ["cora@example.com"]


def test_whoever_does_not_tick_it_keeps_nothing_private(cora: Visitor, cora_id: int, world: World) -> None:
    cora.submit(cora.follow(hold_of(cora, world, at(9, day=1), cora_id)))
    assert [visit.is_private for visit in visits()] == [False]


def test_nobody_is_asked_where_there_is_nobody_to_keep_it_from(
    app: Flask, mother: Visitor, cora_id: int, world: World
) -> None:
    for hour, visitor, patient_id in ((9, mother, cora_id), (10, Visitor(app, "bob"), world.bob_id)):
        check = visitor.follow(hold_of(visitor, world, at(hour, day=1), patient_id))
        assert "private" not in words_of(check)
        # And a form that says so all the same changes nothing.
        visitor.submit(check, private="yes")
    assert [visit.is_private for visit in visits()] == [False, False]


def open_clinic_again(world: World) -> None:
    add_session(world.diaz_id, at(9, day=1), at(12, day=1), world.location_id)


@pytest.mark.parametrize(
    ("born_on", "from_age", "is_private"),
    [(TEENAGER, 11, True), (CHILD, 11, False), (CHILD, 9, True), (date(2015, 3, 3), 11, True),
     (date(2015, 3, 4), 11, False)],
)  # fmt: skip
def test_a_sensitive_visit_is_private_from_an_age_on(
    world: World, born_on: date, from_age: int, is_private: bool
) -> None:
    open_clinic(world)
    cora_id = add_cora(world, born_on)

    @writing
    def set_age(session: Session) -> None:
        put_setting(session, "private_from_age", from_age)

    set_age()
    for hour, actor in ((9, herself(world)), (10, world.erin)):
        visit = book(world, at(hour, day=1), visit_type_id=world.vaccine_id, patient_id=cora_id, actor=actor)
        assert visit.is_private is is_private
    plain = book(world, at(11, day=1), patient_id=cora_id, actor=world.erin)
    assert not plain.is_private


def test_a_mother_sees_what_she_books_and_nobody_hides_what_nobody_else_may_see(cora_id: int, world: World) -> None:
    visit = book(world, at(9, day=1), visit_type_id=world.vaccine_id, patient_id=cora_id, actor=by_mother(world))
    assert not visit.is_private
    assert not book(world, at(10, day=1), visit_type_id=world.vaccine_id).is_private


def test_a_sensitive_visit_is_ticked_already_and_the_patient_may_untick_it(
    cora: Visitor, cora_id: int, world: World
) -> None:
    page = cora.get(times_url(world, cora_id, world.vaccine_id))
    check = cora.follow(cora.submit(page, start=write_instant(at(9, day=1))))
    assert "checked" in check.text
    cora.submit(check, private="no")
    assert [visit.is_private for visit in visits()] == [False]


def test_the_answer_is_kept_when_the_time_is_lost(cora: Visitor, cora_id: int, world: World) -> None:
    check = cora.follow(hold_of(cora, world, at(9, day=1), cora_id))

    @writing
    def lose(session: Session) -> None:
        session.scalars(select(Hold)).one().expires_at = at(7)

    lose()
    book(world, at(9, day=1), patient_id=world.bob_id, actor=world.bob)
    lost = cora.submit(check, 409, private="yes", note="Skin")
    again = cora.follow(cora.submit(lost, start=write_instant(at(10, day=1))))
    assert "checked" in again.text
    cora.submit(again, private="yes")
    assert [visit.is_private for visit in visits()] == [False, True]


def test_the_answer_is_kept_while_another_one_is_changed(cora: Visitor, cora_id: int, world: World) -> None:
    check = cora.follow(hold_of(cora, world, at(9, day=1), cora_id))
    question = cora.follow(cora.submit(check, change="help", private="yes", note="Skin"))
    again = cora.follow(cora.submit(question, needs="vision"))
    assert "checked" in again.text
    assert "Skin" in again.text
    times = cora.follow(cora.submit(again, change="time", private="yes"))
    last = cora.follow(cora.submit(times, start=write_instant(at(10, day=1))))
    assert "checked" in last.text
    cora.submit(last, private="yes")
    assert [visit.is_private for visit in visits()] == [True]


def test_what_was_said_of_one_kind_of_visit_is_not_said_of_another(cora: Visitor, cora_id: int, world: World) -> None:
    check = cora.follow(hold_of(cora, world, at(9, day=1), cora_id))
    question = cora.follow(cora.submit(check, change="visit_type", private="no"))
    vaccine = db.session().get_one(VisitType, world.vaccine_id).public_id
    # A sensitive visit is private unless the patient says otherwise of that visit.
    assert "checked" in cora.follow(cora.submit(question, visit_type=vaccine)).text


# Where nobody else may see it


def test_no_page_about_the_visit_opens_for_the_mother(app: Flask, mother: Visitor, cora_id: int, world: World) -> None:
    visit = private_visit(world, cora_id)
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/appointments/<public_id>")]
    assert len(rules) >= 9
    for rule in rules:
        path = rule.rule.replace("<public_id>", visit.public_id)
        methods = (rule.methods or set()) & {"GET", "POST"}
        for method in methods:
            answer = mother.open(path, method, data={"csrf_token": mother.csrf_token()} if method == "POST" else None)
            assert answer.status_code == 404, (method, path)
            assert visit.reference not in answer.text


def private_visit(world: World, cora_id: int) -> Appointment:
    search = Search(world.check_up_id, cora_id)
    return booking.reserve_slot(
        actor=herself(world), search=search, starts_at=at(9, day=1), token="a-token", is_private=True
    )


def test_no_other_page_of_the_mother_tells_of_it(app: Flask, mother: Visitor, cora_id: int, world: World) -> None:
    visit = private_visit(world, cora_id)
    public_id = db.session().get_one(Patient, cora_id).public_id
    values = {"person_id": public_id, "kind": "email"}
    for rule in app.url_map.iter_rules():
        if not rule.endpoint.startswith("patient.") or "GET" not in (rule.methods or set()):
            continue
        if not rule.arguments <= values.keys():
            continue
        path = rule.rule.replace("<person_id>", public_id).replace("<any(email, mobile, landline, post):kind>", "email")
        answer = mother.open(path)
        assert answer.status_code < 500
        assert not any(word in answer.text for word in (visit.reference, visit.public_id, "3 March")), path
    # What is kept of Cora is handed out to Cora.
    mother.submit(mother.get("/profile/export"), 200)
    assert visit.reference not in mother.submit(mother.get("/profile/export"), 200).text


def test_it_does_not_count_against_the_mother(cora_id: int, world: World) -> None:
    @writing
    def only_one(session: Session) -> None:
        put_setting(session, "max_open_per_patient", 1)

    only_one()
    private_visit(world, cora_id)
    with pytest.raises(TooManyOpenVisits):
        book(world, at(10, day=1), patient_id=cora_id, actor=herself(world))
    book(world, at(10, day=1), patient_id=cora_id, actor=by_mother(world))


@pytest.mark.parametrize("was_there_before", [False, True])
def test_that_it_took_place_shows_in_nothing_that_the_mother_is_offered(
    cora_id: int, world: World, was_there_before: bool
) -> None:
    """Whom one knows is preferred, and who was here before has shorter visits: neither may tell of it."""

    @writing
    def was_here(session: Session, visit_id: int, practitioner_id: int) -> None:
        visit = session.get_one(Appointment, visit_id)
        visit.status, visit.practitioner_id = Status.FULFILLED, practitioner_id

    before: dict[int, str] = {}
    if was_there_before:
        was_here(book(world, at(9, day=1), patient_id=cora_id, actor=by_mother(world)).id, world.diaz_id)
        before = {world.diaz_id: SEEN_LAST}
    was_here(private_visit_at_ten(world, cora_id).id, world.chen_id)
    with clock.clock_at(at(12, day=1)):
        for by, familiar in ((ActorKind.PATIENT, {world.chen_id: SEEN_LAST}), (ActorKind.PROXY, before)):
            search = Search(world.check_up_id, cora_id, by=by)
            terms = load_terms(db.session(), search)
            assert (terms.familiar, terms.has_been_here) == (familiar, bool(familiar))
            kind = Picture(db.session(), terms.now, 5, 7).kind(
                KindKey(world.check_up_id, search.mode, search.needs, False)
            )
            asker = read_askers(db.session(), [cora_id], terms.now, 0)[cora_id]
            planned = terms_for(kind, search, asker, terms.now)
            assert (planned.familiar, planned.has_been_here) == (familiar, bool(familiar))


def test_the_request_of_an_invitation_to_a_sensitive_visit_is_private_too(
    cora_id: int, mother: Visitor, world: World
) -> None:
    @writing
    def sensitive(session: Session) -> None:
        session.get_one(VisitType, world.check_up_id).is_sensitive = True

    sensitive()
    invite(actor=world.erin, patient_id=cora_id, visit_type_id=world.check_up_id, token="an-invitation",
           due_from=date(2026, 3, 3), due_until=date(2026, 3, 20), is_for_queue=True)  # fmt: skip
    request = db.session().scalars(select(Appointment)).one()
    assert request.is_private
    assert request.public_id not in mother.get("/appointments").text
    mother.get(f"/requests/{request.public_id}", 404)


def test_a_time_that_it_takes_looks_taken_by_somebody(mother: Visitor, cora_id: int, world: World) -> None:
    open_clinic_again(world)
    check = mother.follow(hold_of(mother, world, at(9, 15, day=1), cora_id))
    private_visit(world, cora_id)
    refused = mother.submit(check, 409)
    assert "Someone else has just taken that time" in words_of(refused)
    assert "9am" not in words_of(refused)


def test_a_move_that_the_mother_has_begun_ends_when_the_visit_becomes_private(
    mother: Visitor, cora_id: int, world: World
) -> None:
    visit = book(world, at(9, day=1), patient_id=cora_id, actor=by_mother(world))
    page = mother.get(f"/appointments/{visit.public_id}/move")
    check = mother.follow(mother.submit(page, start=write_instant(at(10, day=1))))
    set_private(actor=world.erin, appointment_id=visit.id, is_private=True)
    mother.get(check.request.path, 404)
    mother.post(check.request.path, 404)
    assert visits()[0].starts_at == at(9, day=1)


def test_a_mail_that_has_not_left_goes_to_nobody_else_once_the_visit_is_private(cora_id: int, world: World) -> None:
    visit = book(world, at(9, day=1), patient_id=cora_id, actor=by_mother(world))
    set_private(actor=world.erin, appointment_id=visit.id, is_private=True)
    assert mailed_to() == ["cora@example.com"]

    @writing
    def lose_mailbox(session: Session) -> None:
        own = select(ContactPoint).filter_by(patient_id=cora_id, whose=Relation.SELF)
        session.scalars(own).one().failed_at = at(7)

    lose_mailbox()
    other = private_visit_at_ten(world, cora_id)
    # Without a mailbox of her own she is phoned, and the task says to speak to nobody else.
    assert told(other.id)[0] == ("booked", "patient", "to_call")
    assert mailed_to() == ["cora@example.com"]


def private_visit_at_ten(world: World, cora_id: int) -> Appointment:
    search = Search(world.check_up_id, cora_id)
    return booking.reserve_slot(
        actor=herself(world), search=search, starts_at=at(10, day=1), token="another", is_private=True
    )


def test_a_private_visit_that_the_patient_moves_stays_private(cora: Visitor, cora_id: int, world: World) -> None:
    visit = private_visit(world, cora_id)
    page = cora.get(f"/appointments/{visit.public_id}/move")
    check = cora.follow(cora.submit(page, start=write_instant(at(10, day=1))))
    assert "Keep this appointment private" not in words_of(check)
    cora.submit(check)
    (moved,) = visits()
    assert (moved.starts_at, moved.is_private) == (at(10, day=1), True)


# The desk


def test_the_desk_makes_a_visit_private_and_visible_again_and_it_is_noted(
    app: Flask, mother: Visitor, cora_id: int, world: World
) -> None:
    visit = book(world, at(9, day=1), patient_id=cora_id, actor=by_mother(world))
    erin = Visitor(app, "erin")
    page = erin.get(f"/backoffice/appointments/details/?id={visit.public_id}")
    assert "No: people who act for the patient see it" in words_of(page)
    after = erin.follow(erin.submit(page, private="yes"))
    assert "The appointment is private now." in words_of(after)
    mother.get(f"/appointments/{visit.public_id}", 404)
    # An old tab says so instead of undoing what was done since.
    assert erin.submit(page, 409, private="yes").status_code == 409
    erin.submit(after, private="no")
    mother.get(f"/appointments/{visit.public_id}")
    actions = db.session().scalars(select(AuditEntry.action).filter_by(subject_id=visit.id).order_by(AuditEntry.id))
    assert list(actions)[-2:] == ["make_private", "make_visible"]
    assert visits()[0].sequence == 0


def test_only_the_clinic_hides_a_visit_that_is_booked(cora_id: int, world: World) -> None:
    visit = book(world, at(9, day=1), patient_id=cora_id, actor=by_mother(world))
    for actor in (by_mother(world), herself(world)):
        with pytest.raises(NotAllowed):
            set_private(actor=actor, appointment_id=visit.id, is_private=True)
    with pytest.raises(VersionConflict):
        set_private(actor=world.erin, appointment_id=visit.id, is_private=True, expected_version=7)


def test_the_form_sent_twice_with_another_answer_is_refused(cora_id: int, world: World) -> None:
    search = Search(world.check_up_id, cora_id)
    first = private_visit(world, cora_id)
    again = private_visit(world, cora_id)
    assert first.id == again.id
    with pytest.raises(SubmissionConflict):
        booking.reserve_slot(
            actor=herself(world), search=search, starts_at=at(9, day=1), token="a-token", is_private=False
        )


def test_what_the_hold_remembers_is_what_was_said(cora_id: int, world: World) -> None:
    search = Search(world.check_up_id, cora_id)
    hold = holds.hold_slot(actor=herself(world), search=search, starts_at=at(9, day=1), is_private=True)
    assert hold.is_private is True
    assert db.session().scalars(select(VisitType.is_sensitive).filter_by(id=world.check_up_id)).one() is False
    assert {row.delivery for row in db.session().scalars(select(Notification))} <= {Delivery.DUE}
