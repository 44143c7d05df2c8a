"""Inviting on the pages of the desk and of doctors: who is invited, what lapses soon, and the queue that books it."""

from __future__ import annotations

from datetime import date

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from clinic_portal.database import db, writing
from clinic_portal.errors import NotAllowed
from clinic_portal.models import (
    Appointment,
    ContinuityWish,
    Mode,
    Patient,
    PatientNeed,
    PriorityClass,
    VisitInvitation,
    VisitType,
)
from clinic_portal.scheduling.invitations import invite, let_queue_book, withdraw_invitation
from clinic_portal.scheduling.search import Search
from clinic_portal.scheduling.wishes import Wishes
from tests.asking import drain, fresh
from tests.bookings import book, open_clinic
from tests.visitor import Visitor, forms_of, words_of
from tests.world import NOW, World, at

ALL = "/backoffice/invitations/"


@pytest.fixture
def erin(app: Flask, world: World) -> Visitor:
    return Visitor(app, "erin")


def check_up(world: World) -> str:
    return db.session().get_one(VisitType, world.check_up_id).public_id


def page_of(world: World, name: str = "patient-invite") -> str:
    return f"/backoffice/{name}/?id={db.session().get_one(Patient, world.alice_id).public_id}"


def invitations() -> list[VisitInvitation]:
    session = db.session()
    session.rollback()
    session.expire_all()
    return list(session.scalars(select(VisitInvitation).order_by(VisitInvitation.id)))


def requests() -> list[Appointment]:
    session = db.session()
    session.rollback()
    session.expire_all()
    return list(session.scalars(select(Appointment).order_by(Appointment.id)))


def test_the_desk_invites_sees_what_lapses_soon_and_takes_it_back(erin: Visitor, world: World) -> None:
    assert page_of(world) in erin.get(page_of(world, "patients/details")).text
    page = erin.get(page_of(world))
    chosen = {
        "visit_type": check_up(world), "due_from": "3/3/2026", "due_until": "5/3/2026", "continuity": "same_only",
        "priority": "soon", "message": "Your blood pressure",
    }  # fmt: skip
    for wrong, field in (
        ({"visit_type": ""}, "visit_type"), ({"due_from": "soon"}, "due_from"), ({"due_until": "x"}, "due_until"),
        ({"due_until": "1/3/2026"}, "due_until"), ({"continuity": "x"}, "continuity"), ({"priority": "x"}, "priority"),
        ({"message": "x" * 201}, "message"),
    ):  # fmt: skip
        refused = erin.submit(page, 422, **chosen | wrong)
        assert f'href="#{field}"' in refused.text, wrong
        assert field == "message" or "Your blood pressure" in refused.text
    for _ in range(2):
        erin.submit(page, **chosen)
    (made,) = invitations()
    assert (made.due_from, made.due_until, made.message) == (date(2026, 3, 3), date(2026, 3, 5), "Your blood pressure")
    assert (made.continuity_wish, made.priority_class) == (ContinuityWish.SAME_ONLY, PriorityClass.SOON)
    invite(actor=world.erin, patient_id=world.bob_id, visit_type_id=world.check_up_id, due_from=date(2026, 4, 1),
           due_until=date(2026, 4, 30), token="bob")  # fmt: skip
    every = words_of(erin.get(ALL))
    assert every.index("Alice Archer") < every.index("Bob Baker")
    assert every.count("Lapses soon") == 1
    assert "Invitations that lapse soon" in words_of(erin.get("/backoffice/"))
    assert "Invited to Check-up, from Tue 3 Mar until Thu 5 Mar" in words_of(
        erin.get(page_of(world, "patients/details"))
    )
    erin.post(ALL, 422)
    bobs = invitations()[1]
    erin.post(page_of(world), 404, withdraw=str(bobs.id))
    for _ in range(2):
        erin.post(ALL, withdraw=str(bobs.id))
    erin.post(page_of(world), withdraw=str(made.id))
    assert [one.withdrawn_at for one in invitations()] == [NOW, NOW]
    assert "Nobody is invited now." in words_of(erin.get(ALL))


def test_the_queue_books_an_invitation_at_once_with_what_the_patient_needs(erin: Visitor, world: World) -> None:
    needs_step_free(world)
    open_clinic(world, 2)
    page = erin.get(page_of(world))
    chosen = {"visit_type": check_up(world), "due_from": "3/3/2026", "due_until": "5/3/2026", "queue": "yes",
              "continuity": "prefer_same", "priority": "routine"}  # fmt: skip
    offer_by_phone_only(world.check_up_id)
    assert 'href="#queue"' in erin.submit(page, 409, **chosen).text
    assert (invitations(), requests()) == ([], [])
    offer_in_person(world.check_up_id)
    sent = erin.submit(page, **chosen)
    assert "The queue looks for a time now." in words_of(erin.follow(sent))
    (visit,) = requests()
    assert (visit.wishes["needs"], visit.continuity_wish) == (["step_free"], ContinuityWish.PREFER_SAME)
    drain()
    assert fresh(visit).starts_at == at(9, day=2)
    assert 'href="#visit_type"' not in erin.get(page_of(world)).text


@writing
def needs_step_free(session: Session, world: World) -> None:
    session.add(PatientNeed(patient_id=world.alice_id, kind="step_free", asked_at=NOW, source="staff"))


@writing
def offer_by_phone_only(session: Session, visit_type_id: int) -> None:
    session.execute(update(VisitType).where(VisitType.id == visit_type_id).values(modes=frozenset({Mode.PHONE})))


@writing
def offer_in_person(session: Session, visit_type_id: int) -> None:
    session.execute(update(VisitType).where(VisitType.id == visit_type_id).values(modes=frozenset({Mode.IN_PERSON})))


def test_the_desk_lets_the_queue_book_an_open_invitation_when_it_suits_the_patient(erin: Visitor, world: World) -> None:
    made = invite(
        actor=world.erin, patient_id=world.alice_id, visit_type_id=world.check_up_id, due_from=date(2026, 3, 3),
        due_until=date(2026, 3, 20), continuity=ContinuityWish.PREFER_SAME, token="one",
    )  # fmt: skip
    path = f"{page_of(world, 'patient-ask')}&invitation={made.public_id}"
    assert path.replace("&", "&amp;") in erin.get(ALL).text
    page = erin.get(path)
    chosen = {"mode": "in_person", "location": "", "from_on": "9/3/2026", "continuity": "none", "warning": "0"}
    outside = erin.submit(page, 422, **chosen | {"until_on": "1/3/2026"})
    assert 'href="#until_on"' in outside.text
    for _ in range(2):
        erin.submit(page, **chosen)
    (visit,) = requests()
    assert (visit.origin, visit.wish_from, visit.wish_until) == ("invitation", date(2026, 3, 9), date(2026, 3, 20))
    assert visit.continuity_wish is ContinuityWish.PREFER_SAME, "the invitation wished it"
    erin.get(path, 404)
    erin.get(f"{page_of(world, 'patient-ask')}&invitation=nobodys", 404)


def test_a_patient_may_wish_more_than_the_invitation_and_not_less(world: World) -> None:
    for wished, asked, kept in (
        (ContinuityWish.PREFER_SAME, ContinuityWish.NONE, ContinuityWish.PREFER_SAME),
        (ContinuityWish.NONE, ContinuityWish.SAME_ONLY, ContinuityWish.SAME_ONLY),
    ):
        made = invite(
            actor=world.erin, patient_id=world.alice_id, visit_type_id=world.check_up_id, due_from=date(2026, 3, 3),
            due_until=date(2026, 3, 20), continuity=wished, token=f"invite-{wished}",
        )  # fmt: skip
        visit = let_queue_book(
            actor=world.alice, invitation_id=made.id, search=Search(world.check_up_id, world.alice_id),
            wishes=Wishes(continuity=asked), token=f"book-{wished}",
        )  # fmt: skip
        assert (visit.continuity_wish, visit.wishes["continuity"]) == (kept, kept.value)
        end(visit.id)


@writing
def end(session: Session, visit_id: int) -> None:
    session.execute(update(Appointment).where(Appointment.id == visit_id).values(
        status="cancelled", cancelled_at=NOW, cancelled_by="clinic"))  # fmt: skip


# Doctors


def test_a_doctor_invites_from_the_day_and_sees_only_the_own_invitations(app: Flask, world: World) -> None:
    open_clinic(world)
    visit = book(world, at(9, day=1))
    chen, diaz = Visitor(app, "chen"), Visitor(app, "diaz")
    path = f"/doctor/visits/{visit.public_id}/invite"
    assert path in chen.get("/doctor/?day=2026-03-03").text
    page = chen.get(path)
    assert 'href="/doctor/?day=2026-03-03"' in page.text
    chosen = {"visit_type": check_up(world), "weeks": "6", "length": "2", "continuity": "prefer_same",
              "message": "To look at the wound"}  # fmt: skip
    for wrong, field in (
        ({"visit_type": "x"}, "visit_type"), ({"weeks": "5"}, "weeks"), ({"length": "52"}, "length"),
        ({"continuity": ""}, "continuity"), ({"message": "x" * 201}, "message"),
    ):  # fmt: skip
        refused = chen.submit(page, 422, **chosen | wrong)
        assert f'href="#{field}"' in refused.text, wrong
        assert field == "message" or "To look at the wound" in refused.text
    for _ in range(2):
        sent = chen.submit(page, **chosen)
    (made,) = invitations()
    assert (made.patient_id, made.made_by_account_id) == (world.alice_id, world.chen.account_id)
    assert (made.due_from, made.due_until) == (date(2026, 4, 13), date(2026, 4, 26))
    assert "From Monday 13 April until Sunday 26 April" in words_of(chen.follow(sent))
    diaz.get(path, 404)
    assert "None of your invitations is open." in words_of(diaz.get("/doctor/invitations"))
    diaz.post("/doctor/invitations", 404, withdraw=made.public_id)
    with pytest.raises(NotAllowed):
        withdraw_invitation(actor=_practitioner(world, "diaz"), invitation_id=made.id)
    for _ in range(2):
        chen.post("/doctor/invitations", withdraw=made.public_id)
    assert invitations()[0].withdrawn_at == NOW
    chen.submit(chen.get(path), **chosen | {"queue": "yes", "weeks": "1"})
    assert requests()[-1].origin == "invitation"
    assert len(forms_of(chen.get("/doctor/invitations"))) == 0


def _practitioner(world: World, name: str):  # type: ignore[no-untyped-def]
    return type(world.chen)(world.chen.kind, world.accounts[name])
