"""The people one books for, one's data to take along, who looked at one's record, and the privacy notice."""

from __future__ import annotations

import json
from datetime import date

import pytest
from flask import Flask
from sqlalchemy import event, select, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor, ActorKind
from clinic_portal.database import db, writing
from clinic_portal.errors import NotAllowed
from clinic_portal.models import AccessEntry, Account, Appointment, AuditEntry, Patient, PatientAccess, Relation
from clinic_portal.notifications import delivery
from clinic_portal.profile.access import record_opening
from clinic_portal.profile.export import export_data
from clinic_portal.profile.notice import VERSION
from tests.bookings import book, cancel, open_clinic
from tests.test_profile import act_for, actions, add_child, make_private
from tests.visitor import Visitor, words_of
from tests.world import NOW, World, at


@pytest.fixture
def alice(app: Flask, world: World) -> Visitor:
    return Visitor(app, "alice")


def public_id(patient_id: int) -> str:
    return db.session().get_one(Patient, patient_id).public_id


def openings() -> list[tuple[int, str, str]]:
    db.session().rollback()
    rows = db.session().scalars(select(AccessEntry).order_by(AccessEntry.id))
    return [(row.patient_id, row.role.value, row.place.value) for row in rows]


# People you book for


def test_the_people_one_books_for_are_listed_with_since_and_until(alice: Visitor, world: World) -> None:
    assert "You book only for yourself" in words_of(alice.get("/people"))
    add_child(world)
    says = words_of(alice.get("/people"))
    assert "Cora Archer" in says
    assert "You are a parent." in says
    assert "Since 1 January 2020, until 1 June 2026 (the 16th birthday)" in says


def test_a_right_that_ended_with_the_birthday_is_listed_no_more(alice: Visitor, world: World) -> None:
    add_child(world)
    with clock.clock_at(NOW.replace(month=6, day=1)):
        assert "Cora" not in words_of(alice.get("/people"))


def test_a_right_is_given_up_by_a_button_and_at_once(alice: Visitor, world: World) -> None:
    child_id = add_child(world)
    path = f"/people/{public_id(child_id)}/stop"
    page = alice.get(path)
    assert "Only we can give you the right again" in words_of(page)
    assert "Cora" in words_of(alice.get("/people")), "looking changes nothing"
    assert "You no longer book for Cora Archer" in words_of(alice.follow(alice.submit(page)))
    alice.get(f"/profile/{public_id(child_id)}", 404)
    alice.submit(page, 404)
    assert actions(child_id) == [("proxy", "give_up_right")]


def test_nobody_gives_up_the_right_to_themselves(alice: Visitor, world: World) -> None:
    alice.get(f"/people/{public_id(world.alice_id)}/stop", 404)
    alice.post(f"/people/{public_id(world.alice_id)}/stop", 404)


def test_who_acted_only_for_somebody_else_ends_on_the_first_page(app: Flask, world: World) -> None:
    act_for(world.accounts["mallory"], world.bob_id, Relation.CARER)
    mallory = Visitor(app, "mallory")
    assert "Details of Bob Baker" in words_of(mallory.get("/profile"))
    answer = mallory.post(f"/people/{public_id(world.bob_id)}/stop")
    assert answer.headers["Location"] == "/"
    mallory.get("/profile", 403)


# Private visits


def test_a_private_visit_is_nowhere_to_be_seen_for_a_parent(alice: Visitor, world: World) -> None:
    open_clinic(world)
    child_id = add_child(world)
    visit = book(world, at(9, day=1), patient_id=child_id, actor=world.erin)
    make_private(visit.id)
    delivery.deliver_due()
    lists = ["/appointments", "/profile", f"/profile/{public_id(child_id)}", "/people", "/profile/access"]
    for path in lists:
        page = alice.get(path)
        assert visit.public_id not in page.text, path
        assert visit.reference not in page.text, path
        assert "Tuesday 3 March" not in page.text, path
    for path in ("", "/calendar.ics", "/move", "/cancel", "/booked"):
        alice.get(f"/appointments/{visit.public_id}{path}", 404)
    exported = alice.post("/profile/export", 200, **{"as": "file"}).text
    assert visit.reference not in exported
    assert "Cora" not in exported


# Your data


@pytest.fixture
def rich(world: World) -> Appointment:
    """Alice with a booked, a cancelled and a private visit, a carer, and somebody who looked."""
    open_clinic(world)
    cancel(world, book(world, at(9, day=1)))
    make_private(book(world, at(11, day=1)).id)
    act_for(world.accounts["bob"], world.alice_id, Relation.CARER)
    record_opening(account_id=world.accounts["erin"], role="front_desk", patient_id=world.alice_id,  # type: ignore[arg-type]
                   place="patient")  # type: ignore[arg-type]  # fmt: skip
    visit = book(world, at(10, day=1), actor=Actor(ActorKind.PROXY, world.accounts["bob"]))
    delivery.deliver_due()
    return visit


def test_everything_kept_of_one_can_be_taken_along_without_ids_or_other_people(
    alice: Visitor, rich: Appointment
) -> None:
    answer = alice.submit(alice.get("/profile/export"), 200, index=1)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="my-data.json"'
    data = json.loads(answer.text)
    assert data["details"]["birth_on"] == "1980-05-04"
    assert [visit["status"] for visit in data["appointments"]] == ["cancelled", "booked", "booked"]
    assert [visit["is_private"] for visit in data["appointments"]] == [False, True, False]
    assert {message["delivery"] for message in data["messages"]} <= {"due", "sent", "superseded"}
    assert [message["due_at"] for message in data["messages"] if message["delivery"] == "due"]
    assert data["who_may_act_for_you"][1]["relation"] == "carer"
    assert {change["by"] for change in data["changes"]} == {"you", "proxy"}
    assert [entry["role"] for entry in data["who_looked"]] == ["front_desk"]
    for name in ("bob", "baker", "erin", "chen@", rich.public_id, "account"):
        assert name not in answer.text.casefold(), name
    assert not [key for part in data.values() for row in _rows(part) for key in row if key == "id" or "_id" in key]


def _rows(part: object) -> list[dict[str, object]]:
    return part if isinstance(part, list) else [part] if isinstance(part, dict) else []


def test_the_same_can_be_read_as_a_page(alice: Visitor, rich: Appointment) -> None:
    says = words_of(alice.submit(alice.get("/profile/export"), 200))
    assert "Everything we keep of you" in says
    assert "4 May 1980" in says
    assert rich.reference in says
    assert "3 March 2026, 10am" in says
    assert "Reception" in says
    assert "Somebody who may act for you" in says
    assert "Bob" not in says


def test_handing_data_out_is_noted_and_only_when_it_is_asked_for(alice: Visitor, world: World) -> None:
    page = alice.get("/profile/export")
    assert actions(world.alice_id) == []
    alice.submit(page, 200)
    assert actions(world.alice_id) == [("patient", "export")]


def test_nobody_takes_along_the_data_of_somebody_else(app: Flask, world: World) -> None:
    act_for(world.accounts["mallory"], world.bob_id, Relation.CARER)
    mallory = Visitor(app, "mallory")
    mallory.get("/profile/export", 404)
    mallory.post("/profile/export", 404)
    mallory.get("/profile/access", 404)
    with pytest.raises(NotAllowed):
        export_data(actor=Actor(ActorKind.PROXY, world.accounts["mallory"]), patient_id=world.bob_id)


# Who has looked


def test_opening_a_patient_or_a_visit_is_noted_and_shown_to_the_patient(
    app: Flask, alice: Visitor, world: World
) -> None:
    open_clinic(world)
    visit = book(world, at(9, day=1))
    assert "Nobody yet" in words_of(alice.get("/profile/access"))
    erin = Visitor(app, "erin")
    says = words_of(erin.get(f"/backoffice/patients/details/?id={public_id(world.alice_id)}"))
    assert "alice@example.com" in says
    assert "Own account" in says
    assert visit.reference in says
    erin.get(f"/backoffice/appointments/details/?id={visit.public_id}")
    assert openings() == [(world.alice_id, "front_desk", "patient"), (world.alice_id, "front_desk", "appointment")]
    says = words_of(alice.get("/profile/access"))
    assert "2 March 2026, 8am Reception: your details" in says
    assert "Reception: one of your appointments" in says
    assert "erin" not in says.casefold()


def test_lists_and_what_is_not_found_leave_no_note(app: Flask, world: World) -> None:
    open_clinic(world)
    book(world, at(9, day=1))
    erin = Visitor(app, "erin")
    for path in ("/backoffice/", "/backoffice/patients/?search=archer", "/backoffice/appointments/"):
        erin.get(path)
    erin.get("/backoffice/patients/details/?id=nobody", 404)
    erin.get("/backoffice/appointments/details/?id=nothing", 404)
    assert openings() == []


def test_only_staff_open_patients(app: Flask, world: World) -> None:
    for who in ("alice", "bob", "mallory", "chen"):
        Visitor(app, who).get(f"/backoffice/patients/details/?id={public_id(world.alice_id)}", 403)
    assert openings() == []


def test_changes_of_contacts_are_on_the_patients_page_for_the_desk(app: Flask, alice: Visitor, world: World) -> None:
    path = f"/profile/{public_id(world.alice_id)}/contacts/new/mobile"
    alice.post(path, value="07700 900123", whose="self")
    says = words_of(Visitor(app, "erin").get(f"/backoffice/patients/details/?id={public_id(world.alice_id)}"))
    assert "Add contact" in says
    assert "Value: 07700 900123" in says


def test_opening_a_record_is_one_small_transaction_and_few_questions(app: Flask, world: World) -> None:
    open_clinic(world)
    for hour in (9, 10, 11):
        book(world, at(hour, day=1))
    erin, path = Visitor(app, "erin"), f"/backoffice/patients/details/?id={public_id(world.alice_id)}"
    erin.get(path)
    asked: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    erin.get(path)
    writes = [each for each in asked if each.startswith(("INSERT", "UPDATE", "DELETE"))]
    assert [each.split()[2] for each in writes] == ["access_log"]
    assert len(asked) < 40, len(asked)


def test_the_access_log_is_append_only(any_world: World) -> None:
    record_opening(account_id=any_world.accounts["erin"], role="front_desk", patient_id=any_world.alice_id,  # type: ignore[arg-type]
                   place="patient")  # type: ignore[arg-type]  # fmt: skip

    @writing
    def tamper(session: Session, statement: str) -> None:
        session.execute(text(statement))

    for statement in ("DELETE FROM access_log", "UPDATE access_log SET role = 'admin'"):
        with pytest.raises(DatabaseError, match="kept"):
            tamper(statement)


# The privacy notice


@writing
def forget_notice(session: Session, account_id: int) -> None:
    session.get_one(Account, account_id).privacy_notice_version = None


def test_the_notice_is_open_to_everybody_and_names_the_clinic(app: Flask, world: World) -> None:
    page = Visitor(app).get("/privacy")
    assert "Harbour Street Clinic uses this portal" in words_of(page)
    assert "I have read this" not in words_of(page)


def test_the_notice_comes_once_before_the_first_booking_and_leads_on(alice: Visitor, world: World) -> None:
    forget_notice(world.accounts["alice"])
    alice.get("/appointments")
    asked = alice.get("/book/visit-type?place=any", 303)
    page = alice.follow(asked)
    db.session().rollback()
    assert db.session().get_one(Account, world.accounts["alice"]).privacy_notice_version is None
    answer = alice.submit(page)
    assert answer.headers["Location"] == "/book/visit-type?place=any"
    alice.follow(answer)
    db.session().rollback()
    account = db.session().get_one(Account, world.accounts["alice"], populate_existing=True)
    assert account.privacy_notice_version == VERSION
    entry = db.session().scalars(select(AuditEntry).filter_by(action="accept_notice")).one()
    assert entry.actor_account_id == account.id
    assert "I have read this" not in words_of(alice.get("/privacy"))


def test_the_notice_never_leads_to_another_site(alice: Visitor, world: World) -> None:
    for target in ("https://evil.example", "//evil.example", "/\\evil.example"):
        assert alice.post(f"/privacy?next={target}").headers["Location"] == "/privacy"


def test_who_books_for_nobody_has_nothing_to_accept(app: Flask, world: World) -> None:
    forget_notice(world.accounts["mallory"])
    mallory = Visitor(app, "mallory")
    mallory.get("/book/who", 403)
    mallory.post("/privacy", 403)
    assert "I have read this" not in words_of(mallory.get("/privacy"))


def test_a_right_from_a_later_day_is_not_listed_yet(alice: Visitor, world: World) -> None:
    @writing
    def later(session: Session) -> None:
        session.add(PatientAccess(account_id=world.accounts["alice"], patient_id=world.bob_id, relation=Relation.CARER,
                                  starts_on=date(2026, 3, 3)))  # fmt: skip

    later()
    assert "Bob" not in words_of(alice.get("/people"))
