"""The desk's pages of requests: the whole line, one request and what can be done with it, asking for somebody."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from clinic_portal import clock
from clinic_portal.backoffice import request_lists, request_words, requests
from clinic_portal.database import db, writing
from clinic_portal.models import (
    ALL_PARTS,
    AccessEntry,
    Appointment,
    AuditEntry,
    Mode,
    Patient,
    PatientNeed,
    PriorityClass,
    Status,
    Task,
    TaskKind,
    VisitType,
)
from clinic_portal.scheduling import handling, offering, planning, serving
from clinic_portal.scheduling.by_hand import times_by_hand
from clinic_portal.scheduling.line import Show, count_each, ended_requests, staff_queue
from clinic_portal.scheduling.wishes import DayPart, Wishes, parts_mask, suiting_starts, suits, wishes_of
from clinic_portal.tasks import open_task
from tests.asking import ask, change, drain, fresh, offers, open_tasks, status
from tests.bookings import book, open_clinic
from tests.statements import sent_statements
from tests.test_backoffice import limit_to
from tests.test_offers import ask_first, one_time
from tests.test_queue import ask_all, edit, patients
from tests.test_requests import set_up
from tests.visitor import Visitor, forms_of, words_of
from tests.world import NOW, World, add_session, at

LIST = "/backoffice/requests/"


@pytest.fixture
def erin(app: Flask, world: World) -> Visitor:
    return Visitor(app, "erin")


def page_of(visit: Appointment, what: str = "details") -> str:
    return f"{LIST}{what}/?id={visit.public_id}"


def do(erin: Visitor, visit: Appointment, what: str, status: int = 303, **fields: str) -> TestResponse:
    """Press the button of one form of a request's page, with these answers."""
    page = erin.get(page_of(visit))
    index = next(at for at, form in enumerate(forms_of(page)) if what in form.choices.get("do", ()))
    return erin.submit(page, status, index, do=what, **fields)


def references(page: TestResponse) -> list[str]:
    """The requests of a list in their order."""
    words = words_of(page).split()
    return [words[at + 1] for at, word in enumerate(words) if word == "Request" and len(words[at + 1]) == 6]


# The line


def test_the_list_shows_everybody_who_waits_in_the_order_of_the_queue_and_why(erin: Visitor, world: World) -> None:
    one_time(world)
    ids = patients(6)
    offered = ask_first(world, ids[0])
    drain()
    waits, new, rests, stuck, urgent = ask_all(world, ids[1:])
    edit(urgent, priority_class=PriorityClass.URGENT, target_at=NOW - timedelta(days=1))
    edit(waits, status=Status.WAITLIST, not_placed_because="nothing_fits")
    edit(stuck, next_try_at=None, tries=6, not_placed_because="fault")
    handling.defer(actor=world.erin, appointment_id=rests.id, until=at(0, day=3))
    paused = ask(world, world.bob_id, world.bob, from_on=date(2026, 3, 9), parts=parts_mask([(0, DayPart.MORNING)]))
    edit(paused, paused_at=NOW, unanswered_offers=3)
    set_up(world.vaccine_id, needs_triage=True)
    triage = ask(world, visit_type_id=world.vaccine_id)
    page = erin.get(LIST)
    every = [urgent, offered, waits, new, rests, stuck, paused, triage]
    assert references(page) == [visit.reference for visit in every]
    says = words_of(page)
    for words in (
        "All 8", "Need a person 4", "To look at first 1", "Late 1", "Visit by Sun 1 Mar Late",
        "The patient answers the offer Offer open until", "Waits until time opens No free time fits what was wished.",
        "Rests until Thu 5 Mar", "The queue has given up: place it by hand A fault of the portal.",
        "Paused after unanswered offers: ask the patient", "Somebody has to look at it first",
        "From Mon 9 Mar", "Mon mornings", "Wants to be asked first",
    ):  # fmt: skip
        assert words in says, words
    assert "Requests 4 need a person" in says
    assert f"/backoffice/patients/details/?id={waits.patient.public_id}" in page.text
    assert references(erin.get(f"{LIST}?show=late")) == [urgent.reference]
    assert references(erin.get(f"{LIST}?show=triage")) == [triage.reference]
    assert references(erin.get(f"{LIST}?class=urgent")) == [urgent.reference]
    assert references(erin.get(f"{LIST}?show=person")) == [
        visit.reference for visit in (urgent, stuck, paused, triage)
    ]  # fmt: skip
    left_out = words_of(erin.get(f"{LIST}?show=nonsense&class=nobody&page=x"))
    assert "There is no such list" in left_out
    assert "Class must be one of the list" in left_out
    assert "All 8" in left_out


def test_a_list_stands_in_pages_and_its_counts_are_those_of_the_lists(
    erin: Visitor, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (requests, request_lists):
        monkeypatch.setattr(module, "PAGE", 2)
    asked = ask_all(world, patients(5))
    edit(asked[3], status=Status.WAITLIST)
    session = db.session()
    open_one(asked[3])
    session.rollback()
    assert count_each(session) == {show: len(staff_queue(session, show=show)) for show in Show}
    assert count_each(session)[Show.PERSON] == 1, "what somebody has been asked to see to needs a person"
    first, last = erin.get(LIST), erin.get(f"{LIST}?page=2")
    assert references(first) + references(erin.get(f"{LIST}?page=1")) + references(last) == [
        visit.reference for visit in asked
    ]  # fmt: skip
    assert "Page 3 of 3" in words_of(erin.get(f"{LIST}?page=99"))
    assert 'rel="next"' not in last.text


@writing
def open_one(session: Session, visit: Appointment) -> None:
    open_task(session, TaskKind.CANNOT_PLACE, patient_id=visit.patient_id, appointment_id=visit.id, due_at=NOW)


def test_the_list_is_looked_at_again_by_itself_without_keeping_anybody_signed_in(erin: Visitor, world: World) -> None:
    ask(world)
    part = erin.get(LIST, HX_Request="true", X_Unattended="yes")
    assert part.text.lstrip().startswith('<div id="line"')
    assert "HX-Request" in part.headers["Vary"]
    assert "portal_seen" not in part.headers.get("Set-Cookie", "")
    assert "<html" in erin.get(LIST, HX_Request="true", HX_History_Restore_Request="true").text


def test_those_to_look_at_first_stand_in_the_order_of_what_they_were_promised(erin: Visitor, world: World) -> None:
    set_up(world.check_up_id, needs_triage=True)
    first, second = ask_all(world, patients(2))
    edit(first, answer_by=at(18, day=3))
    edit(second, answer_by=at(18, day=1))
    page = erin.get(f"{LIST}?show=triage")
    assert references(page) == [second.reference, first.reference]
    with clock.clock_at(at(9, day=2)):
        assert "Answer by Tue 3 Mar, 6pm Late" in words_of(erin.get(f"{LIST}?show=triage"))


def test_what_ended_in_the_last_days_is_a_list_of_its_own(erin: Visitor, world: World) -> None:
    one, two, three = ask_all(world, patients(3))
    do(erin, one, "withdraw", withdraw_why="feel_better")
    open_clinic(world)
    handling.place_by_hand(actor=world.erin, appointment_id=two.id, starts_at=at(9, day=1), token="p")
    plain = book(world, at(11, day=1))
    page = erin.get(f"{LIST}?show=ended")
    assert set(references(page)) == {one.reference, two.reference}
    assert "Withdrawn by the clinic: feels better" in words_of(page)
    assert "Tue 3 Mar, 9am, Dr Chen" in words_of(page)
    assert three.reference not in page.text
    assert plain.reference not in page.text
    with clock.clock_at(NOW + timedelta(days=8)):
        assert references(erin.get(f"{LIST}?show=ended")) == []


def test_a_desk_of_one_place_sees_requests_for_its_place_and_for_any(any_app: Flask, any_world: World) -> None:
    world = any_world
    anywhere, there, here = (
        ask(world, id_, world.erin, location_id=place)
        for id_, place in zip(patients(3), (None, world.location_id, world.second_location_id), strict=True)
    )
    open_one(there)
    open_one(here)
    limit_to(world.accounts["erin"], world.second_location_id)
    erin = Visitor(any_app, "erin")
    assert set(references(erin.get(LIST))) == {anywhere.reference, here.reference}
    for what in ("details", "times"):
        erin.get(page_of(there, what), 404)
        erin.get(page_of(here, what))
    todo = erin.get("/backoffice/todo/").text
    assert here.reference in todo
    assert there.reference not in todo


def test_the_line_and_what_ended_are_found_by_indexes(world: World) -> None:
    session, plans = db.session(), []
    with sent_statements() as seen:
        count_each(session, places=frozenset({1}))
        staff_queue(session, show=Show.PERSON)
        ended_requests(session, NOW)
    for sql in [statement for statement in seen if "FROM appointments" in statement]:
        rows = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", ("x",) * sql.count("?"))
        plans.append(" ".join(row[3] for row in rows))
    # The first two walk along an index that has those who wait and nobody else.
    ways = [plan.split()[:5] for plan in plans]
    assert [way[:4] for way in ways] == [["SCAN", "appointments", "USING", "INDEX"]] * 2 + [
        ["SEARCH", "appointments", "USING", "INDEX"]
    ] * 2
    assert {way[4] for way in ways[:2]} <= {"ix_appointments_waiting", "uq_appointments_one_request"}
    assert [way[4] for way in ways[2:]] == ["ix_appointments_served", "ix_appointments_starts_at"]


# One request


def test_a_page_tells_everything_about_a_request_and_that_it_was_opened_is_noted(erin: Visitor, world: World) -> None:
    one_time(world)
    visit = ask_first(world, note="My left knee", until_on=date(2026, 3, 20), min_warning_min=24 * 60)
    drain()
    says = words_of(erin.get(page_of(visit)))
    for words in (
        "Until Fri 20 Mar", "At least 1 day before", "Wants to be asked first", "My left knee", "Alice Archer",
        "4 May 1980", "Online, by the patient: alice@example.com", "A time is kept for the patient",
        "Offers made", "Dr Chen", "Time offered", "Answer by Wed 4 Mar, 6pm",
    ):  # fmt: skip
        assert words in says, words
    session = db.session()
    session.rollback()
    opened = session.scalars(select(AccessEntry)).all()
    assert [(each.patient_id, each.account_id) for each in opened] == [(world.alice_id, world.erin.account_id)]
    erin.get(f"{LIST}details/?id=nobody", 404)
    erin.get(f"{LIST}details/", 404)


def test_triage_is_done_on_the_page_once_and_closes_its_task(erin: Visitor, world: World) -> None:
    set_up(world.check_up_id, needs_triage=True)
    visit = ask(world)
    page = erin.get(page_of(visit))
    index = next(at for at, form in enumerate(forms_of(page)) if "triage" in form.choices.get("do", ()))
    wrong = erin.submit(page, 422, index, do="triage", triage_class="whatever")
    assert 'href="#triage_class"' in wrong.text
    sent = erin.submit(page, 303, index, do="triage", triage_class="soon")
    erin.submit(page, 303, index, do="triage", triage_class="soon")
    assert "The queue may place it now." in words_of(erin.follow(sent))
    done = fresh(visit)
    assert (done.triage_status, done.priority_class, done.version) == ("done", PriorityClass.SOON, 2)
    assert (done.triaged_by_account_id, open_tasks(visit)) == (world.erin.account_id, [])
    conflict = erin.submit(page, 409, index, do="triage", triage_class="urgent")
    assert "already sent with other answers" in words_of(conflict)
    assert fresh(visit).priority_class is PriorityClass.SOON


def test_an_answer_without_a_visit_ends_it_and_what_was_typed_stays_when_it_is_wrong(
    erin: Visitor, world: World
) -> None:
    set_up(world.check_up_id, needs_triage=True)
    visit = ask(world)
    wrong = do(erin, visit, "redirect", 422, redirect_note="x" * 201)
    assert "x" * 201 in wrong.text
    assert 'href="#redirect_note"' in wrong.text
    assert "Use no more than 200 characters." in words_of(wrong)
    do(erin, visit, "redirect", redirect_note="A pharmacist can help with that.")
    ended = fresh(visit)
    assert (ended.status, ended.triage_note) == (Status.CANCELLED, "A pharmacist can help with that.")
    says = words_of(erin.get(page_of(visit)))
    assert "It waits no more." in says
    assert "Answered without a visit" in says
    assert "Withdraw it" not in says


def test_another_class_needs_a_reason_and_who_was_slower_is_told(erin: Visitor, world: World) -> None:
    visit = ask(world)
    wrong = do(erin, visit, "reclassify", 422, class_to="urgent", class_why=" ")
    assert 'href="#class_why"' in wrong.text
    page = erin.get(page_of(visit))
    edit(visit, version=fresh(visit).version + 1)
    index = next(at for at, form in enumerate(forms_of(page)) if "reclassify" in form.choices.get("do", ()))
    late = erin.submit(page, 409, index, do="reclassify", class_to="urgent", class_why="Chest pain last night")
    assert "Somebody else changed this request in the meantime." in words_of(late)
    assert 'value="Chest pain last night"' in late.text
    assert fresh(visit).priority_class is PriorityClass.ROUTINE
    index = next(at for at, form in enumerate(forms_of(late)) if "reclassify" in form.choices.get("do", ()))
    erin.submit(late, 303, index, do="reclassify", class_to="urgent")
    assert fresh(visit).priority_class is PriorityClass.URGENT
    session = db.session()
    entry = session.scalars(select(AuditEntry).filter_by(action="reclassify")).one()
    assert entry.values.after["reason"] == "Chest pain last night"
    assert "Reason: Chest pain last night" in words_of(erin.get(page_of(visit)))


def test_a_request_rests_until_a_day_and_goes_on_before_it(erin: Visitor, world: World) -> None:
    visit = ask(world)
    for typed in ("", "yesterday", "0001-01-01", "1/3/2026", "1/3/2029"):
        assert 'href="#defer_until"' in do(erin, visit, "defer", 422, defer_until=typed).text, typed
    do(erin, visit, "defer", defer_until="9/3/2026", defer_why="Away until then")
    assert fresh(visit).deferred_until == at(0, day=7)
    assert "Reason: Away until then" in words_of(erin.get(page_of(visit)))
    do(erin, visit, "resume")
    assert (fresh(visit).deferred_until, fresh(visit).next_try_at) == (None, NOW)


def test_what_was_given_up_or_paused_goes_on_when_the_desk_says_so(erin: Visitor, world: World) -> None:
    visit = ask(world)
    edit(visit, next_try_at=None, tries=6, not_placed_because="fault", paused_at=NOW)
    open_one(visit)
    do(erin, visit, "resume")
    again = fresh(visit)
    assert (again.next_try_at, again.tries, again.paused_at, open_tasks(visit)) == (NOW, 0, None, [])


def test_a_withdrawal_needs_a_reason_and_the_same_form_again_changes_nothing(erin: Visitor, world: World) -> None:
    visit = ask(world)
    assert "Choose why." in words_of(do(erin, visit, "withdraw", 422))
    page = erin.get(page_of(visit))
    index = next(at for at, form in enumerate(forms_of(page)) if "withdraw" in form.choices.get("do", ()))
    for _ in range(2):
        erin.submit(page, 303, index, do="withdraw", withdraw_why="seen_elsewhere")
    ended = fresh(visit)
    assert (ended.status, ended.cancel_reason, ended.cancelled_by) == ("cancelled", "seen_elsewhere", "clinic")
    assert "This request is not waiting any more." in words_of(
        erin.post(page_of(visit), 409, do="withdraw", withdraw_why="other", token="another")
    )  # fmt: skip
    erin.post(page_of(visit), 422, do="nonsense")


@pytest.mark.parametrize(
    ("press", "ends", "state"), [("accept", "booked", "accepted"), ("decline", "waitlist", "declined")]
)
def test_an_answer_given_by_phone_is_taken_down_for_the_patient(
    erin: Visitor, world: World, press: str, ends: str, state: str
) -> None:
    one_time(world)
    visit = ask_first(world)
    drain()
    page = erin.get(page_of(visit))
    index = next(at for at, form in enumerate(forms_of(page)) if "accept" in form.choices.get("do", ()))
    for _ in range(2):
        erin.submit(page, 303, index, do=press)
    (offer,) = offers(visit)
    assert (status(visit), offer.state, offer.answered_via) == (ends, state, "staff")
    other = ask(world, world.bob_id, world.bob)
    erin.post(page_of(other), 404, do="accept", offer=str(offer.id))
    assert "told to the desk" in words_of(erin.get(page_of(visit)))


def test_an_answer_that_comes_too_late_is_told(erin: Visitor, world: World) -> None:
    one_time(world)
    visit = ask_first(world)
    drain()
    (offer,) = offers(visit)
    with clock.clock_at(offer.expires_at):
        late = erin.post(page_of(visit), 409, do="accept", offer=str(offer.id))
    assert "This time is not kept for the patient any more." in words_of(late)
    assert status(visit) == "pending"


def test_a_booked_visit_that_is_offered_an_earlier_time_has_the_same_forms(erin: Visitor, world: World) -> None:
    add_session(world.chen_id, at(9, day=20), at(10, day=20))
    visit = book(world, at(9, day=20))
    edit(visit, wants_earlier=True, next_try_at=NOW)
    assert "nothing earlier is offered now" in words_of(erin.get(page_of(visit)))
    one_time(world)
    drain()
    assert page_of(visit) in erin.get(f"/backoffice/appointments/details/?id={visit.public_id}").text
    assert "The patient keeps Sun 22 Mar, 9am unless they take it." in words_of(erin.get(page_of(visit)))
    do(erin, visit, "accept")
    assert fresh(visit).starts_at == at(9, day=3)


# Placing by hand


def test_the_desk_chooses_a_time_within_or_outside_of_what_was_wished(erin: Visitor, world: World) -> None:
    open_clinic(world, 1)
    open_clinic(world, 8)
    add_session(world.diaz_id, at(9, day=2), at(10, day=2), world.second_location_id)
    visit = ask(world, from_on=date(2026, 3, 9))
    path = page_of(visit, "times")
    says = words_of(erin.get(path))
    inside, outside = says.split("Other times")
    assert "Tue 10 Mar, 9am, Harbour Street" in inside
    assert "Tue 3 Mar, 9am, Harbour Street" in words_of(erin.get(f"{path}&day=2/3/2026")).split("Other times")[1]
    assert "Tue 3 Mar" not in inside
    assert outside.count("Tue 3 Mar") == 0, "one looks from the first day that was wished"
    assert "Choose one of the times." in words_of(erin.post(path, 422, token="t"))
    erin.post(path, 422, token="t", start="99991231T2359Z")
    page = erin.get(f"{path}&day=2/3/2026")
    index = next(at for at, form in enumerate(forms_of(page)) if "start" in form.choices)
    chosen = next(value for value in forms_of(page)[index].choices["start"] if value.startswith("20260304"))
    for _ in range(2):
        sent = erin.submit(page, 303, index, start=chosen)
    assert "Booked: Wed 4 Mar, 9am, Dr Diaz, Mill Lane." in words_of(erin.follow(sent))
    placed = fresh(visit)
    assert (placed.status, placed.starts_at, placed.practitioner_id) == ("booked", at(9, day=2), world.diaz_id)
    assert "This request is not waiting any more." in words_of(erin.get(path))


def test_who_was_slower_is_told_and_sees_what_is_free_now(erin: Visitor, world: World) -> None:
    open_clinic(world)
    visit = ask(world)
    path = page_of(visit, "times")
    page = erin.get(path)
    index = next(at for at, form in enumerate(forms_of(page)) if "start" in form.choices)
    first = forms_of(page)[index].choices["start"][0]
    book(world, at(9, day=1), patient_id=world.bob_id, actor=world.bob)
    lost = erin.submit(page, 409, index, start=first)
    assert "Somebody was faster" in words_of(lost)
    assert first not in lost.text
    assert "20260303T0930Z" in lost.text
    assert status(visit) == "proposed"
    add_session(world.diaz_id, at(9, day=1), at(12, day=1))
    book(world, at(11, day=1), visit_type_id=world.vaccine_id)
    version = str(fresh(visit).version)
    busy = erin.post(path, 409, start="20260303T1100Z", token="busy", version=version)
    assert "The patient has another appointment then." in words_of(busy)
    change(world, visit, until_on=date(2026, 3, 3))
    late = erin.post(path, 409, start="20260303T0930Z", token="late", version=version)
    assert "Somebody else changed this request in the meantime." in words_of(late)
    assert "Until Tue 3 Mar" in words_of(late)
    set_up(world.check_up_id, is_active=False)
    assert "This kind of appointment is not offered." in words_of(erin.get(path))


def test_one_start_suits_exactly_when_the_queue_says_so(world: World) -> None:
    chance = random.Random(3)
    grid = 5
    for _ in range(300):
        first = date(2026, 3, 20) + timedelta(days=chance.randint(0, 10))
        wishes = Wishes(
            chance.choice((None, first)), chance.choice((None, first + timedelta(days=4))), chance.randint(1, ALL_PARTS)
        )
        starts_at = at(0, day=18) + timedelta(minutes=grid * chance.randrange(14 * 288))
        cell = int(starts_at.timestamp()) // 60 // grid
        columns = type("Columns", (), wishes.columns())
        expected = bool(suiting_starts(columns, "Europe/London", cell, cell + 1, grid))
        assert suits(wishes, starts_at, "Europe/London") == expected, (wishes, starts_at)


def test_a_day_full_of_free_time_does_not_hide_the_next(world: World) -> None:
    for day in range(1, 8):
        open_clinic(world, day)
    visit = ask(world)
    found = times_by_hand(db.session(), visit)
    days = [time.starts_at.date() for time in found.inside]
    assert (len(days), len(set(days)), found.outside) == (12, 3, [])


# Asking for somebody


def test_the_desk_asks_for_a_patient_who_calls(erin: Visitor, world: World) -> None:
    @writing
    def set_the_scene(session: Session) -> None:
        session.get_one(VisitType, world.check_up_id).modes = frozenset({Mode.IN_PERSON, Mode.PHONE})
        session.add(PatientNeed(patient_id=world.alice_id, kind="step_free", asked_at=NOW, source="staff"))

    set_the_scene()
    alice = db.session().get_one(Patient, world.alice_id)
    path = f"/backoffice/patient-ask/?id={alice.public_id}"
    assert path in erin.get(f"/backoffice/patients/details/?id={alice.public_id}").text
    page = erin.get(path)
    check_up = db.session().get_one(VisitType, world.check_up_id).public_id
    chosen = {
        "visit_type": check_up, "mode": "phone", "call_number": "020 7946 0111", "location": str(world.location_id),
        "from_on": "9/3/2026", "until_on": "2026-03-20", "days": ["0", "2"], "parts": ["0"],
        "continuity": "prefer_same", "warning": "1440", "ask_first": "yes", "note": "Knee", "how": "phone",
    }  # fmt: skip
    for wrong, field in (
        ({"visit_type": ""}, "visit_type"), ({"mode": "home"}, "mode"), ({"mode": "video"}, "mode"),
        ({"call_number": ""}, "call_number"), ({"location": "99"}, "location"), ({"from_on": "soon"}, "from_on"),
        ({"until_on": "1/3/2026"}, "until_on"), ({"days": ["9"]}, "days"), ({"parts": ["x"]}, "parts"),
        ({"continuity": "x"}, "continuity"), ({"warning": "7"}, "warning"), ({"how": "walk_in"}, "how"),
        ({"note": "x" * 201}, "note"),
    ):  # fmt: skip
        answer = erin.open(path, "POST", data={"csrf_token": erin.csrf_token(), "token": "t", **chosen, **wrong})
        assert answer.status_code in (409, 422), (wrong, answer.status)
        assert f'href="#{field}"' in answer.text, wrong
        assert "Knee" in answer.text or field == "note"
    for _ in range(2):
        sent = erin.submit(page, **chosen)
    session = db.session()
    session.rollback()
    visit = session.scalars(select(Appointment)).one()
    assert (visit.origin, visit.booked_by_account_id, visit.mode) == ("phone", world.erin.account_id, "phone")
    assert (visit.call_number, visit.note, visit.wishes["needs"]) == ("020 7946 0111", "Knee", ["step_free"])
    monday_or_wednesday = parts_mask([(0, DayPart.MORNING), (2, DayPart.MORNING)])
    assert wishes_of(visit) == Wishes(
        date(2026, 3, 9), date(2026, 3, 20), monday_or_wednesday, visit.continuity_wish, 1440, is_ask_first=True
    )
    assert sent.headers["Location"] == page_of(visit)
    again = erin.submit(erin.get(path), 409, **chosen)
    assert "There is already a request for this kind of appointment." in words_of(again)
    assert visit.reference in erin.get(f"/backoffice/patients/details/?id={alice.public_id}").text


def test_nothing_is_asked_for_with_the_record_of_somebody_who_died(erin: Visitor, world: World) -> None:
    @writing
    def die(session: Session) -> None:
        session.get_one(Patient, world.alice_id).deceased_on = date(2026, 3, 1)

    die()
    alice = db.session().get_one(Patient, world.alice_id)
    for page in ("patient-ask", "patient-invite"):
        assert len(forms_of(erin.get(f"/backoffice/{page}/?id={alice.public_id}"))) == 0


# To do


def test_the_list_of_things_to_do_leads_to_the_request_and_what_is_done_there_ends_the_task(
    erin: Visitor, world: World
) -> None:
    set_up(world.check_up_id, needs_triage=True)
    visit = ask(world)
    assert page_of(visit) in erin.get("/backoffice/todo/").text
    task = db.session().scalars(select(Task).filter_by(appointment_id=visit.id)).one()
    details = erin.get(f"/backoffice/todo/details/?id={task.id}")
    assert page_of(visit) in details.text
    assert "Close it" not in words_of(details), "only the request's own page ends it"
    erin.post(f"/backoffice/todo/done/?id={task.id}", 422, outcome="done")
    assert f"/backoffice/todo/details/?id={task.id}" in erin.get(page_of(visit)).text
    do(erin, visit, "triage", triage_class="routine")
    assert page_of(visit) not in erin.get("/backoffice/todo/").text


def test_wishes_are_said_in_short(world: World) -> None:
    every, mornings = list(DayPart), [DayPart.MORNING]
    for parts, words in (
        ([(day, part) for day in range(5) for part in mornings], "Mon to Fri mornings"),
        ([(5, part) for part in every], "Sat all day"),
        ([(0, DayPart.MORNING), (1, DayPart.MORNING), (1, DayPart.EVENING)], "Mon mornings; Tue mornings and evenings"),
        ([(day, DayPart.EVENING) for day in range(7)], "Every day evenings"),
        ([(day, part) for day in range(7) for part in every], ""),
    ):
        assert request_words.parts(parts_mask(parts)) == words
    assert [request_words.warning(minutes) for minutes in (120, 1440, 4320)] == ["2 h", "1 day", "3 days"]


def test_every_reason_of_the_queue_has_words_of_its_own() -> None:
    codes = {
        planning.NOTHING_FITS, planning.WINDOW_PAST, planning.PATIENT_GONE, offering.OFFER_OPEN,
        offering.OFFERS_THIS_WEEK, serving.LOST_RACES, serving.FAULT, "not_found", "mode_not_offered",
        "not_for_this_patient", "not_bookable_online", "too_many_open_visits", "too_soon_after_last",
    }  # fmt: skip
    assert codes <= request_words.WHY.keys()
    for table in (request_words.NEXT, request_words.SHOW, request_words.OFFER, request_words.VIA, request_words.TRIAGE):
        assert set(table) == set(type(next(iter(table))))
