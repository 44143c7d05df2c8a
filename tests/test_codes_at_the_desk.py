"""Codes from the clinic: made at the desk, shown once, used by the patient, or void."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal.accounts.invitations import void_code
from clinic_portal.database import db, writing
from clinic_portal.errors import NotAllowed, NotFound
from clinic_portal.models import AccountInvitation, AuditEntry, AuditValues, Patient, PatientAccess
from tests.test_entrance import use
from tests.visitor import Visitor, words_of
from tests.world import World, add_patient

CODE = re.compile(r"\b[34679A-Z]{5}-[34679A-Z]{5}\b")


@pytest.fixture
def erin(app: Flask, world: World) -> Visitor:
    return Visitor(app, "erin")


@writing
def add_walter(session: Session) -> str:
    """Known to the desk, without an account and without e-mail."""
    return add_patient(session, "Walter", "Finch", email=False).public_id


def codes() -> list[AccountInvitation]:
    db.session().rollback()
    db.session().expire_all()
    return list(db.session().scalars(select(AccountInvitation).order_by(AccountInvitation.id)))


def make(erin: Visitor, public_id: str) -> str:
    page = erin.submit(erin.get(f"/backoffice/patient-codes/?id={public_id}"), 200)
    found = CODE.search(words_of(page))
    assert found, words_of(page)
    return found[0]


def test_a_patient_known_to_the_desk_gets_an_account_with_a_code(app: Flask, erin: Visitor, world: World) -> None:
    public_id = add_walter()
    code = make(erin, public_id)
    mallory = Visitor(app, "mallory")
    use(mallory, code)
    db.session().rollback()
    right = db.session().scalars(select(PatientAccess).filter_by(account_id=world.accounts["mallory"])).one()
    assert right.patient.public_id == public_id
    shown = words_of(erin.get(f"/backoffice/patients/details/?id={public_id}"))
    assert "mallory@example.com Own account" in shown
    assert "Used Mon 2 Mar, 8am" in words_of(erin.get(f"/backoffice/patient-codes/?id={public_id}"))


def test_a_code_is_shown_once_and_kept_nowhere(erin: Visitor, world: World) -> None:
    public_id = add_walter()
    code = make(erin, public_id)
    for path in ("patients/details", "patient-codes", "audit"):
        page = erin.open(f"/backoffice/{path}/", query_string={"id": public_id})
        assert code not in page.text
    kept = [str(row.after) + str(row.before) for row in db.session().scalars(select(AuditValues))]
    assert not any(code in row or code.replace("-", "") in row for row in kept)


def test_a_new_code_voids_the_older_one_and_the_desk_voids_any(app: Flask, erin: Visitor, world: World) -> None:
    public_id = add_walter()
    first, second = make(erin, public_id), make(erin, public_id)
    assert "A code is open until" in words_of(erin.get(f"/backoffice/patients/details/?id={public_id}"))
    mallory = Visitor(app, "mallory")
    assert "not right" in words_of(use(mallory, first, 422))
    page = erin.get(f"/backoffice/patient-codes/?id={public_id}")
    after = erin.follow(erin.submit(page, index=1, void=str(codes()[-1].id)))
    assert "Nobody can use that code any more." in words_of(after)
    assert "not right" in words_of(use(mallory, second, 422))
    db.session().rollback()
    assert db.session().scalars(select(AuditEntry.action).filter_by(action="void")).all() == ["void"]


def test_a_code_is_voided_only_from_its_own_patient_and_by_the_clinic(erin: Visitor, world: World) -> None:
    make(erin, add_walter())
    (code,) = codes()
    with pytest.raises(NotFound):
        void_code(actor=world.erin, patient_id=world.bob_id, invitation_id=code.id)
    with pytest.raises(NotAllowed):
        void_code(actor=world.alice, patient_id=code.patient_id, invitation_id=code.id)
    bob = db.session().get_one(Patient, world.bob_id).public_id
    for void in (str(code.id), "x", "9" * 30, ""):
        token = erin.csrf_token()
        answer = erin.open(f"/backoffice/patient-codes/?id={bob}", "POST", data={"csrf_token": token, "void": void})
        assert answer.status_code == 404, void


def test_there_is_no_code_for_whom_nobody_may_act(erin: Visitor, world: World) -> None:
    public_id = add_walter()

    @writing
    def forget_birth(session: Session) -> None:
        session.scalars(select(Patient).filter_by(public_id=public_id)).one().birth_on = None

    forget_birth()
    page = erin.get(f"/backoffice/patient-codes/?id={public_id}")
    assert "The birth date is not known." in words_of(page)
    assert "Make a code" not in words_of(page)
