"""The desk's page: who is where, one button and one key for each step, walk-ins, and a page that looks again."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.backoffice.desk_day import Part, part_of
from clinic_portal.database import db, writing
from clinic_portal.models import (
    AccessEntry,
    Appointment,
    CancelReason,
    ClinicSession,
    ContactPoint,
    Location,
    Mode,
    Need,
    NeedSource,
    Origin,
    Outcome,
    Patient,
    PatientNeed,
    PriorityClass,
    RoleGrant,
    Status,
    VisitType,
    WalkInTicket,
)
from clinic_portal.scheduling.running import call_in
from clinic_portal.scheduling.walk_ins import take_in
from clinic_portal.settings import put_setting
from tests.asking import fresh
from tests.bookings import book
from tests.invariants import check_invariants
from tests.statements import sent_statements
from tests.visitor import Visitor, forms_of, words_of
from tests.world import World, add_patient, add_session, at

TODAY = "/backoffice/"
FIELDS = {"given_name": "Wanda", "family_name": "Walker", "birth_on": "3/2/1990", "phone": "020 7946 0555",
          "class": "routine"}  # fmt: skip


@writing
def change(session: Session, what: Callable[[Session], object]) -> None:
    what(session)


@pytest.fixture
def erin(app: Flask, world: World) -> Visitor:
    """The desk, on a day on which Dr Chen works from nine to twelve."""
    add_session(world.chen_id, at(9), at(12), world.location_id)
    return Visitor(app, "erin")


def rows(query: Select[Any]) -> list[Any]:
    """What is there now, read afresh."""
    db.session().rollback()
    return list(db.session().scalars(query))


def arrive(world: World, visit: Appointment, now: datetime) -> None:
    def note(session: Session) -> None:
        row = session.get_one(Appointment, visit.id)
        row.status, row.arrived_at = Status.ARRIVED, now

    change(note)


def walk_in(world: World, who: int, now: datetime, priority: PriorityClass = PriorityClass.ROUTINE) -> Appointment:
    with clock.clock_at(now):
        return take_in(actor=world.erin, who=who, visit_type_id=world.check_up_id, location_id=world.location_id,
                       priority=priority, token=f"{who}-{now}")  # fmt: skip


@writing
def add_people(session: Session, how_many: int) -> list[int]:
    return [add_patient(session, f"Given{n}", f"Family{n}").id for n in range(how_many)]


def line_of(page: str, visit: Appointment) -> str:
    """The words of one line."""
    markup = page.partition(f'id="v-{visit.public_id}"')[2].partition("</tr>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", markup.partition(">")[2]).split())


def counts_of(page: str) -> dict[str, int]:
    part = page.partition('class="desk-counts"')[2].partition("</ul>")[0]
    found = re.findall(r"<strong>(\d+)</strong> ([^<]+)<", part)
    return {words: int(number) for number, words in found}


def press(erin: Visitor, visit: Appointment, step: str, now: datetime, *, version: int | None = None) -> str:
    """Press a button of a line, and read the page that comes."""
    with clock.clock_at(now):
        form = next(one for one in forms_of(erin.get(TODAY)) if visit.public_id in one.action)
        assert step in form.choices["step"], (step, form.choices)
        fields = {**form.fields, "step": step} | ({} if version is None else {"version": version})
        answer = erin.open(form.action, "POST", data=fields)
        assert answer.status_code == 303
        assert answer.location.endswith(f"/backoffice/#v-{visit.public_id}")
        return erin.get(TODAY).text


# Who is where


def test_everybody_of_today_stands_where_they_are(world: World, erin: Visitor) -> None:
    people = add_people(4)
    times = (at(9), at(9, 30), at(10), at(10, 30))
    visits = [book(world, start, patient_id=who, actor=world.erin) for start, who in zip(times, people, strict=True)]
    waiting = visits[0]
    arrive(world, waiting, at(8, 50))
    arrive(world, visits[1], at(9, 20))
    with clock.clock_at(at(9, 32)):
        call_in(actor=world.erin, appointment_id=visits[1].id)
        page = erin.get(TODAY).text
    assert counts_of(page) == {"Here, waiting": 1, "With a clinician": 1, "Expected": 2, "Seen": 0,
                               "Left without being seen": 0, "Did not come": 0}  # fmt: skip
    assert page.index("part-here") < page.index(waiting.public_id) < page.index("part-inside")
    # The wait begins at the time that was booked: who comes early is not kept waiting before.
    assert "Waits 32 min" in line_of(page, waiting)
    assert "9am Given0 Family0 4 May 1980 (45) Check-up Dr Chen" in line_of(page, waiting)


def test_who_waits_too_long_is_marked_and_who_is_early_is_not(world: World, erin: Visitor) -> None:
    visit = book(world, at(9), actor=world.erin)
    arrive(world, visit, at(8, 10))
    for minute, told, is_marked in ((50, "Early, here 40 min", False), (80, "Waits 20 min", False),
                                    (81, "Waits 21 min", True)):  # fmt: skip
        with clock.clock_at(at(8) + timedelta(minutes=minute)):
            page = erin.get(TODAY).text
        assert told in line_of(page, visit)
        assert ('class="desk-pressing"' in page) is is_marked, minute
    change(lambda session: put_setting(session, "waiting_limit_min", 60))
    with clock.clock_at(at(9, 21)):
        assert 'class="desk-pressing"' not in erin.get(TODAY).text


def test_who_waits_stands_in_order_of_class_and_arrival(world: World, erin: Visitor) -> None:
    people = add_people(4)
    booked = book(world, at(9), patient_id=people[0], actor=world.erin)
    arrive(world, booked, at(8, 30))
    second = walk_in(world, people[1], at(9, 10))
    first = walk_in(world, people[2], at(8, 55))
    urgent = walk_in(world, people[3], at(9, 20), PriorityClass.URGENT)
    with clock.clock_at(at(9, 25)):
        page = erin.get(TODAY).text
    places = [page.index(f'id="v-{visit.public_id}"') for visit in (urgent, first, booked, second)]
    assert places == sorted(places)
    assert "No. 1 Given2 Family2" in line_of(page, first) or "No. 2 Given2 Family2" in line_of(page, first)
    assert "Urgent" in line_of(page, urgent)


def test_marks_say_what_somebody_needs_and_what_to_ask(world: World, erin: Visitor) -> None:
    visit = book(world, at(9), actor=world.erin)

    def mark(session: Session) -> None:
        session.add(PatientNeed(patient_id=world.alice_id, kind=Need.INTERPRETER, detail="Polish", asked_at=at(8),
                                source=NeedSource.STAFF))  # fmt: skip
        session.scalars(select(ContactPoint).filter_by(patient_id=world.alice_id)).one().unverified_since = at(7)
        row = session.get_one(Appointment, visit.id)
        row.mode, row.call_number = Mode.PHONE, "020 7946 0123"

    change(mark)
    page = erin.get(TODAY).text
    assert "By phone Interpreter: Polish E-mail: ask, not confirmed" in line_of(page, visit)
    assert "020 7946 0123" not in page
    assert "alice@example.com" not in page


def test_only_today_at_the_place_is_shown_and_the_place_is_remembered(world: World, erin: Visitor) -> None:
    add_session(world.diaz_id, at(9), at(12), world.second_location_id)
    here, tomorrow = book(world, at(9), actor=world.erin), at(9, day=1)
    add_session(world.chen_id, tomorrow, at(12, day=1), world.location_id)
    later = book(world, tomorrow, patient_id=world.bob_id, actor=world.erin)
    page = erin.get(TODAY).text
    assert here.public_id in page
    assert later.public_id not in page
    elsewhere = erin.get(f"{TODAY}?location={world.second_location_id}").text
    assert here.public_id not in elsewhere
    assert here.public_id not in erin.get(TODAY).text
    assert "Mill Lane</span>" in erin.get(TODAY).text
    assert here.public_id in erin.get(f"{TODAY}?location={world.location_id}").text


def test_the_day_is_that_of_the_place(world: World, erin: Visitor) -> None:
    change(lambda session: setattr(session.get_one(Location, world.second_location_id), "zone", "America/New_York"))
    add_session(world.diaz_id, at(2, day=1), at(4, day=1), world.second_location_id)
    # Two in the morning in London is nine in the evening there, still on Monday.
    visit = book(world, at(2, day=1), actor=world.erin)
    with clock.clock_at(at(1, day=1)):
        page = erin.get(f"{TODAY}?location={world.second_location_id}").text
    assert "9pm Alice Archer" in line_of(page, visit)
    assert "Monday 2 March 2026" in page


def test_a_desk_of_another_place_sees_and_notes_nothing_here(world: World, erin: Visitor) -> None:
    visit = book(world, at(9), actor=world.erin)
    walked = walk_in(world, world.bob_id, at(8, 30))
    (session_id,) = rows(select(ClinicSession.id))

    def limit(session: Session) -> None:
        grant = session.scalars(select(RoleGrant).filter_by(account_id=world.accounts["erin"])).one()
        grant.location_id = world.second_location_id

    change(limit)
    page = erin.get(f"{TODAY}?location={world.location_id}").text
    assert visit.public_id not in page
    erin.post(f"{TODAY}step/?id={visit.public_id}", 404, step="arrived", version="1")
    erin.post(f"{TODAY}late/", 404, session=str(session_id), late_min="10")
    erin.get(f"{TODAY}walk-in/visit/?id={walked.public_id}", 404)
    erin.post(f"{TODAY}walk-in/", 422, visit_type=world.check_up_id, location=world.location_id, **FIELDS)
    assert fresh(visit).status is Status.BOOKED


def test_the_page_asks_the_same_questions_however_many_come(world: World, erin: Visitor) -> None:
    def questions() -> int:
        with sent_statements() as seen:
            erin.get(TODAY)
        return len([each for each in seen if each.startswith("SELECT")])

    people = add_people(5)
    book(world, at(9), patient_id=people[0], actor=world.erin)
    walk_in(world, people[1], at(8))
    few = questions()
    for n in range(2, 5):
        book(world, at(9, 30) + timedelta(minutes=30 * (n - 2)), patient_id=people[n], actor=world.erin)
        walk_in(world, people[n], at(8))
    assert questions() == few <= 32


# Steps


def test_a_visit_goes_through_its_day_by_one_button_each(world: World, erin: Visitor) -> None:
    visit = book(world, at(9), actor=world.erin)
    for minute, step, part in ((0, "arrived", Part.HERE), (5, "called", Part.INSIDE), (20, "seen", Part.SEEN),
                               (21, "undo", Part.INSIDE), (22, "undo", Part.HERE), (23, "undo", Part.EXPECTED),
                               (24, "no_show", Part.MISSED), (25, "undo", Part.EXPECTED)):  # fmt: skip
        press(erin, visit, step, at(9, minute))
        assert part_of(fresh(visit)) is part, step
    check_invariants(db.session())


def test_who_leaves_is_noted_and_their_time_is_free_again(world: World, erin: Visitor) -> None:
    visit = book(world, at(11), actor=world.erin)
    press(erin, visit, "arrived", at(9))
    page = press(erin, visit, "left", at(9, 30))
    left = fresh(visit)
    assert (left.status, left.cancel_reason) == (Status.CANCELLED, CancelReason.LEFT_WITHOUT_BEING_SEEN)
    assert counts_of(page)["Left without being seen"] == 1
    check_invariants(db.session())


def test_that_somebody_came_too_late_is_offered_after_the_grace_only(world: World, erin: Visitor) -> None:
    visit = book(world, at(9), actor=world.erin)
    with clock.clock_at(at(9, 9)):
        page = erin.get(TODAY).text
    assert "9 min late Arrived" in line_of(page, visit)
    assert "Came too late" not in line_of(page, visit)
    press(erin, visit, "too_late", at(9, 10))
    assert fresh(visit).outcome_code is Outcome.LATE_COULD_NOT_BE_SEEN


def test_what_somebody_else_noted_meanwhile_is_told_and_stays(world: World, erin: Visitor) -> None:
    visit = book(world, at(9), actor=world.erin)
    page = press(erin, visit, "arrived", at(9), version=7)
    assert "Somebody has noted something of this visit meanwhile" in page
    assert fresh(visit).status is Status.BOOKED


def test_a_step_that_is_none_is_refused(world: World, erin: Visitor) -> None:
    visit = book(world, at(9), actor=world.erin)
    erin.post(f"{TODAY}step/?id={visit.public_id}", 422, step="dance", version="1")
    answer = erin.post(f"{TODAY}step/?id={visit.public_id}", 303, step="seen", version="1")
    assert "This cannot be noted of the visit as it stands." in words_of(erin.follow(answer))


def test_every_key_is_one_step_and_the_help_names_it(world: World, erin: Visitor) -> None:
    visit = book(world, at(9), actor=world.erin)
    page = erin.get(TODAY).text
    arrive(world, visit, at(8, 50))
    markup = erin.get(TODAY).text.partition(f'id="v-{visit.public_id}"')[2].partition("</tr>")[0]
    keys = re.findall(r'data-key="(\w)"', markup)
    assert keys == ["w", "d", "u"], "who leaves is not taken back, and has no key"
    helped = page.partition('id="desk-keys"')[2].partition("</details>")[0]
    assert {"a", "w", "d", "n", "u", "t"} <= set(re.findall(r"<kbd>(\w)</kbd>", helped))


def test_who_walked_in_yesterday_stays_until_somebody_says_how_it_ended(world: World, erin: Visitor) -> None:
    visit = walk_in(world, world.bob_id, at(9, 2))
    with clock.clock_at(at(8, day=1)):
        assert "Waits 22 h 58 min Time or clinician" in line_of(erin.get(TODAY).text, visit).replace(" : Bob Baker", "")
    press(erin, visit, "left", at(8, 1, day=1))
    with clock.clock_at(at(8, 2, day=1)):
        assert visit.public_id not in erin.get(TODAY).text


def test_that_nobody_walked_in_at_all_has_its_own_words_and_no_key(world: World, erin: Visitor) -> None:
    visit = walk_in(world, world.bob_id, at(9, 2))
    with clock.clock_at(at(9, 3)):
        page = erin.get(TODAY).text
    markup = page.partition(f'id="v-{visit.public_id}"')[2].partition("</tr>")[0]
    assert re.findall(r'data-key="(\w)"', markup) == ["t"]
    assert "Wrong entry" in markup
    assert visit.public_id not in press(erin, visit, "undo", at(9, 3))
    assert fresh(visit).status is Status.ENTERED_IN_ERROR
    check_invariants(db.session())


# Looking again


def test_the_part_that_looks_again_is_sent_alone_and_is_nobody_at_the_keyboard(world: World, erin: Visitor) -> None:
    visit = book(world, at(9), actor=world.erin)
    answer = erin.get(TODAY, HX_Request="true")
    assert answer.text.lstrip().startswith('<div id="desk"')
    assert "HX-Request" in answer.headers["Vary"]
    assert line_of(answer.text, visit)
    assert "late_min" not in answer.text, "what is typed there is not looked at again"
    assert """data-hx-headers='{"X-Unattended": "yes"}'""" in answer.text


# Running late


def test_a_session_runs_late_and_patients_see_it(world: World, erin: Visitor) -> None:
    (session_id,) = rows(select(ClinicSession.id))
    answer = erin.post(f"{TODAY}late/", session=str(session_id), late_min="25")
    page = erin.follow(answer)
    assert "Running late: Dr Chen (9am to 12 midday ) 25 min" in words_of(page).replace("midday)", "midday )")
    erin.post(f"{TODAY}late/", session=str(session_id), late_min="7")
    assert rows(select(ClinicSession.late_min)) == [25]
    erin.post(f"{TODAY}late/", 422, late_min="5")


# Walk-ins


def take(erin: Visitor, world: World, status: int = 303, path: str = "walk-in/", **fields: object) -> str:
    with clock.clock_at(at(9, 2)):
        given = {"visit_type": world.check_up_id, "location": world.location_id, **FIELDS, **fields}
        answer = erin.submit(erin.get(f"{TODAY}{path}"), status, **given)
        return erin.get(TODAY).text if status == 303 else answer.text


def test_somebody_new_walks_in_gets_a_number_and_a_clinician(world: World, erin: Visitor) -> None:
    page = take(erin, world)
    (visit,) = rows(select(Appointment).filter_by(origin=Origin.WALK_IN))
    assert "Number 1: Wanda Walker." in page
    assert "No. 1 Wanda Walker 3 Feb 1990 (36)" in line_of(page, visit)
    assert 'href="/backoffice/walk-in/visit/' in page
    with clock.clock_at(at(9, 5)):
        choose = erin.get(f"{TODAY}walk-in/visit/?id={visit.public_id}")
        assert "Number 1 Wanda Walker, Check-up" in words_of(choose)
        done = erin.submit(choose, index=1, clinician=str(world.chen_id))
        assert "With Dr Chen now." in words_of(erin.follow(done))
    assert part_of(fresh(visit)) is Part.INSIDE
    check_invariants(db.session())


def test_a_walk_in_gets_a_free_time_of_today_and_the_undo_takes_it_back(world: World, erin: Visitor) -> None:
    visit = walk_in(world, world.bob_id, at(9, 2))
    with clock.clock_at(at(9, 5)):
        choose = erin.get(f"{TODAY}walk-in/visit/?id={visit.public_id}")
        times = forms_of(choose)[0].choices["start"]
        assert times[0] == "2026-03-02T09:15Z"
        erin.submit(choose, index=0, start=times[0])
    given = fresh(visit)
    assert (given.starts_at, given.practitioner_id) == (at(9, 15), world.chen_id)
    press(erin, visit, "undo", at(9, 6))
    assert fresh(visit).starts_at is None
    check_invariants(db.session())


def test_what_is_wrong_with_a_walk_in_is_named_and_what_was_typed_stays(world: World, erin: Visitor) -> None:
    for field, value in (("birth_on", "soon"), ("visit_type", "999"), ("given_name", " "), ("phone", "12"),
                         ("class", "flexible")):  # fmt: skip
        page = take(erin, world, 422, **{field: value})
        assert f'href="#{field}"' in page, field
        assert 'value="Walker"' in page
    assert rows(select(WalkInTicket.number)) == []


def test_somebody_of_the_same_name_and_birth_date_is_asked_about(world: World, erin: Visitor) -> None:
    same = {"given_name": "alice", "family_name": "ARCHER", "birth_on": "4.5.1980"}
    page = take(erin, world, 409, **same)
    alice = db.session().get_one(Patient, world.alice_id)
    assert f'href="/backoffice/walk-in/?id={alice.public_id}"' in page
    assert "4 May 1980 (45)" in page
    take(erin, world, is_another="yes", **same)
    assert len(rows(select(Patient.id))) == 3


def test_a_known_patient_is_taken_in_from_the_record_and_that_is_noted(world: World, erin: Visitor) -> None:
    alice = db.session().get_one(Patient, world.alice_id)
    page = take(erin, world, path=f"walk-in/?id={alice.public_id}")
    assert "Number 1: Alice Archer." in page
    assert world.alice_id in rows(select(AccessEntry.patient_id))
    again = take(erin, world, 409, path=f"walk-in/?id={alice.public_id}")
    assert "They are here already, with number 1." in again


def test_only_what_takes_place_here_can_be_asked_for(world: World, erin: Visitor) -> None:
    change(lambda session: setattr(session.get_one(VisitType, world.vaccine_id), "modes", frozenset({Mode.VIDEO})))
    page = erin.get(f"{TODAY}walk-in/").text
    assert "Check-up" in page
    assert "Vaccine" not in page
    take(erin, world, 422, visit_type=world.vaccine_id)


def test_of_somebody_who_does_not_wait_any_more_the_page_says_so(world: World, erin: Visitor) -> None:
    visit = walk_in(world, world.bob_id, at(9, 2))
    with clock.clock_at(at(9, 5)):
        old = erin.get(f"{TODAY}walk-in/visit/?id={visit.public_id}")
        press(erin, visit, "left", at(9, 5))
        answer = erin.submit(old, 409, index=1, clinician=str(world.chen_id))
    assert "They do not wait for a time or a clinician any more" in words_of(answer)
