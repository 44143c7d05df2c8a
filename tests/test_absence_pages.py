"""The desk plans an absence on pages that work without scripts: who, the plan, choices by hand, what became of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from clinic_portal import clock
from clinic_portal.database import db, writing
from clinic_portal.models import Absence, AbsenceAct, Practitioner, RoleGrant, Status
from clinic_portal.notifications import delivery
from clinic_portal.scheduling.absence_options import Choice
from clinic_portal.scheduling.booking import change_status
from tests.absences import SEVEN, Morning, apply, as_planned, new_patient, plan_of, sick_morning, undo, where
from tests.asking import fresh
from tests.bookings import book
from tests.invariants import check_invariants
from tests.statements import sent_statements
from tests.visitor import Form, Visitor, forms_of, words_of
from tests.world import World, at


@pytest.fixture
def morning(world: World) -> Iterator[Morning]:
    found = sick_morning(world)
    delivery.deliver_due()
    with clock.clock_at(SEVEN):
        yield found


@pytest.fixture
def erin(app: Flask, morning: Morning) -> Visitor:
    return Visitor(app, "erin")


def chen(morning: Morning) -> str:
    return db.session().get_one(Practitioner, morning.world.chen_id).public_id


def open_plan(erin: Visitor, morning: Morning, **more: str) -> TestResponse:
    asked = {"clinician": chen(morning), "period": "today", **more}
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    return erin.follow(erin.get(f"/backoffice/away/plan/?{query}", 303))


_SELECT = re.compile(r'<select class="office-input" id="(visit-\d+)"[^>]*>(.*?)</select>', re.DOTALL)


def chosen(page: TestResponse) -> dict[str, str]:
    """What stands in each choice of a plan."""
    found = {}
    for name, body in _SELECT.findall(page.text):
        [found[name]] = re.findall(r'value="([^"]+)" selected', body)
    return found


def plan_form(page: TestResponse) -> Form:
    return next(form for form in forms_of(page) if form.method == "post")


def send(erin: Visitor, page: TestResponse, do: str, status: int, **changed: str) -> TestResponse:
    """Press a button of a plan, after some choices were changed."""
    form = plan_form(page)
    answer = erin.open(form.action, "POST", data={**form.fields, **chosen(page), "reason": "sick", **changed, "do": do})
    assert answer.status_code == status, words_of(answer)
    return answer


def row_of(page: TestResponse, name: str) -> str:
    """What a plan, or what became of it, says about one patient."""
    [row] = [row for row in re.findall(r"<tr role=\"row\">.*?</tr>", page.text, re.DOTALL) if f"{name} " in row]
    return " ".join(re.sub(r"<[^>]+>", " ", row).split())


def test_the_desk_plans_looks_and_applies_in_two_pages(erin: Visitor, morning: Morning) -> None:
    assert "A doctor is away" in words_of(erin.get("/backoffice/"))
    assert f"away/?clinician={chen(morning)}" in erin.get("/backoffice/clinicians/").text
    assert f'value="{chen(morning)}" selected' in erin.get(f"/backoffice/away/?clinician={chen(morning)}").text
    page = open_plan(erin, morning)
    words = words_of(page)
    assert "24 appointments" in words
    assert "1 to call first" in words
    assert "Call first: soon, and no mobile or e-mail" in row_of(page, "Pat0")
    assert "The patient keeps the time." in row_of(page, "Pat1")
    assert "No contact is known" in row_of(page, "Pat0")
    assert "By mobile only" in row_of(page, "Pat6")
    done = erin.follow(send(erin, page, "apply", 303))
    assert "Its messages leave at Mon 2 Mar, 7:02am" in words_of(done)
    assert "Sick. Planned Mon 2 Mar, 7am by erin@example.com." in words_of(done)
    assert "To be sent" in row_of(done, "Pat1")
    assert "To call" in row_of(done, "Pat6")
    check_invariants(db.session())
    assert "Dr Chen" in words_of(erin.get("/backoffice/away/"))
    undone = erin.follow(erin.submit(done))
    assert "Undone: everything is as it was, and nobody was told." in words_of(undone)
    assert "Put back" in row_of(undone, "Pat1")


def test_the_plan_is_worked_out_around_a_choice_and_keeps_it(erin: Visitor, morning: Morning) -> None:
    page = open_plan(erin, morning)
    first, second = (f"visit-{id_}" for id_ in morning.visits[1:3])
    wanted = chosen(page)[second].replace("same_time", "other_time")
    again = send(erin, page, "again", 200, **{first: wanted})
    assert chosen(again)[first] == wanted
    assert chosen(again)[second] != chosen(page)[second]
    assert "Chosen by hand." in row_of(again, "Pat1")
    assert "Chosen by hand." not in row_of(again, "Pat2")
    # It is kept while another is chosen, and the page's part alone answers HTMX.
    form = plan_form(again)
    fields = {**form.fields, **chosen(again), f"visit-{morning.visits[3]}": "waiting_list"}
    part = erin.open(form.action, "POST", data=fields, headers={"HX-Request": "true"})
    assert part.status_code == 200
    assert "<html" not in part.text
    assert chosen(part)[first] == wanted
    assert chosen(part)[f"visit-{morning.visits[3]}"] == "waiting_list"
    assert where(morning)[morning.visits[1]][4] == 0
    done = erin.follow(send(erin, part, "apply", 303))
    assert "Cancelled, and asked for again" in row_of(done, "Pat3")
    assert "Request received" in row_of(done, "Pat3")
    assert fresh(morning.visits[3]).status is Status.CANCELLED


def test_what_changed_meanwhile_is_marked_and_the_rest_stays_as_chosen(erin: Visitor, morning: Morning) -> None:
    page = open_plan(erin, morning)
    before, plan = chosen(page), as_planned(plan_of(morning))
    second, third = morning.visits[1:3]
    taken = plan[second].starts_at
    assert taken is not None
    number = 500
    while book(morning.world, taken, visit_type_id=morning.talk_id, patient_id=new_patient(number),
               actor=morning.world.erin).practitioner_id != plan[second].practitioner_id:  # fmt: skip
        number += 1
    fields = {f"visit-{third}": "cancel", "visit-99999": "keep", f"visit-{morning.visits[0]}": "nonsense"}
    told = send(erin, page, "apply", 409, **fields)
    assert "Some of this plan cannot be done any more, or is new." in words_of(told)
    assert "This cannot be done any more." in row_of(told, "Pat1")
    # A choice that is none counts as none.
    assert "Booked meanwhile." in row_of(told, "Pat0")
    assert chosen(told)[f"visit-{third}"] == "cancel"
    others = {f"visit-{id_}" for id_ in morning.visits[3:]}
    assert {name: chosen(told)[name] for name in others} == {name: before[name] for name in others}
    assert {what[4] for what in where(morning).values()} == {0}
    send(erin, told, "apply", 303)
    assert fresh(third).status is Status.CANCELLED
    check_invariants(db.session())


def test_two_who_plan_the_same_absence_note_it_once(erin: Visitor, morning: Morning) -> None:
    page, other = open_plan(erin, morning), open_plan(erin, morning)
    send(erin, page, "apply", 303)
    told = send(erin, other, "apply", 409)
    assert "Somebody has changed these hours meanwhile." in words_of(told)
    assert "No appointment ahead lies in this time." in words_of(told)
    db.session().rollback()
    assert db.session().scalar(select(func.count()).select_from(Absence)) == 1


def test_an_undo_that_comes_too_late_is_refused_and_not_offered(erin: Visitor, morning: Morning) -> None:
    absence = apply(morning, as_planned(plan_of(morning)))
    late = SEVEN + timedelta(minutes=2)
    with clock.clock_at(late):
        page = erin.get(f"/backoffice/away/details/?id={absence.public_id}")
        assert "Undo all of it" not in words_of(page)
        assert "Its messages left at Mon 2 Mar, 7:02am" in words_of(page)
        answer = erin.post(f"/backoffice/away/undo/?id={absence.public_id}", 409, token="absence-late")
        assert "The messages of this absence have left." in words_of(answer)
    assert erin.post(f"/backoffice/away/undo/?id={absence.public_id}", 422)
    undo(morning, absence)


def test_a_visit_that_could_not_be_put_back_is_named(erin: Visitor, morning: Morning) -> None:
    absence = apply(morning, as_planned(plan_of(morning)) | {morning.visits[1]: Choice(AbsenceAct.CANCEL)})
    booking_again = book(morning.world, at(8, 15), visit_type_id=morning.talk_id,
                         patient_id=fresh(morning.visits[1]).patient_id, actor=morning.world.erin)  # fmt: skip
    assert booking_again.id not in morning.visits
    page = erin.get(f"/backoffice/away/details/?id={absence.public_id}")
    undone = erin.follow(erin.submit(page))
    assert "Undone, but for 1 of the appointments: see below." in words_of(undone)
    assert "Not put back: the patient has another appointment then." in row_of(undone, "Pat1")
    assert fresh(morning.visits[1]).status is Status.CANCELLED


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"clinician": ""}, "clinician"),
        ({"period": "always"}, "period"),
        ({"period": "days", "from": "soon"}, "from"),
        ({"period": "days", "from": "2026-03-01", "until": "2026-03-01"}, "from"),
        ({"period": "days", "from": "2026-03-05", "until": "2026-03-04"}, "until"),
        ({"period": "hours", "from": "2026-03-05", "starts": "9:03", "ends": "10:00"}, "starts"),
        ({"period": "hours", "from": "2026-03-05", "starts": "9:00", "ends": "late"}, "ends"),
        ({"period": "hours", "from": "2026-03-05", "starts": "9:00", "ends": "9:00"}, "ends"),
    ],
)
def test_what_cannot_be_meant_names_its_field_and_keeps_what_was_typed(
    erin: Visitor, morning: Morning, wrong: dict[str, str], field: str
) -> None:
    asked = {"clinician": chen(morning), "period": "today", **wrong}
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    page = erin.get(f"/backoffice/away/plan/?{query}", 422)
    assert f'href="#{field}"' in page.text
    if wrong.get("starts"):
        assert f'value="{wrong["starts"]}"' in page.text


def test_why_somebody_is_away_is_asked_with_the_plan_and_stands_in_no_address(erin: Visitor, morning: Morning) -> None:
    page = open_plan(erin, morning)
    wanted = {next(iter(chosen(page))): "keep"}
    for reason in ("", "tired"):
        refused = send(erin, page, "apply", 422, reason=reason, **wanted)
        assert "There is a problem Choose why." in words_of(refused)
        assert 'href="#reason"' in refused.text
        assert chosen(refused).items() >= wanted.items()
    assert db.session().scalars(select(Absence)).all() == []
    again = send(erin, page, "again", 200, reason="leave")
    assert re.search(r'value="leave"[^>]* checked', again.text)
    assert "leave" not in plan_form(again).action


@pytest.mark.parametrize(
    ("asked", "told", "visits"),
    [
        ({"period": "rest"}, "Mon 2 Mar, 7am to the end of the day", 24),
        ({"period": "hours", "from": "2026-03-02", "starts": "9:00", "ends": "10:00"}, "Mon 2 Mar, 9am to 10am", 4),
        ({"period": "days", "from": "2026-03-02", "until": "2026-03-06"}, "Mon 2 Mar to Fri 6 Mar", 24),
        ({"period": "days", "from": "2026-03-05", "until": ""}, "Thu 5 Mar", 0),
    ],
)
def test_an_absence_is_as_long_as_was_said(
    erin: Visitor, morning: Morning, asked: dict[str, str], told: str, visits: int
) -> None:
    page = open_plan(erin, morning, **asked)
    assert told in words_of(page)
    assert len(chosen(page)) == visits
    done = erin.follow(send(erin, page, "apply", 303))
    assert told in words_of(done)
    check_invariants(db.session())


def test_who_is_at_the_clinic_already_is_named(erin: Visitor, morning: Morning) -> None:
    change_status(actor=morning.world.erin, appointment_id=morning.visits[0], to=Status.ARRIVED)
    page = open_plan(erin, morning)
    assert "At the clinic already, and not in this plan: Pat0 Ient0" in words_of(page)
    assert len(chosen(page)) == 23


@writing
def _move_erin(session: Session, world: World) -> None:
    grant = session.scalars(select(RoleGrant).filter_by(account_id=world.accounts["erin"])).one()
    grant.location_id = world.second_location_id


def test_a_desk_of_one_place_plans_only_for_who_works_there(app: Flask, morning: Morning) -> None:
    _move_erin(morning.world)
    absence = apply(morning, as_planned(plan_of(morning)))
    erin = Visitor(app, "erin")
    assert "Dr Chen" not in words_of(erin.get("/backoffice/away/"))
    erin.get(f"/backoffice/away/plan/?clinician={chen(morning)}&period=today", 404)
    erin.get(f"/backoffice/away/details/?id={absence.public_id}", 404)


def test_reading_and_applying_a_plan_of_24_takes_few_statements(erin: Visitor, morning: Morning) -> None:
    with sent_statements() as reading:
        plan = plan_of(morning)
    with sent_statements() as carrying_out:
        absence = apply(morning, as_planned(plan))
    with sent_statements() as undoing:
        undo(morning, absence)
    assert len(reading) < 24 * 12
    assert len(carrying_out) < 24 * 35
    assert len(undoing) < 24 * 27
