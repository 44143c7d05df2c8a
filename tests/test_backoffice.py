"""The back office: who may look, what they see, and that looking is all they can do."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from clinic_portal.audit import Actor, ActorKind
from clinic_portal.backoffice import find, lists
from clinic_portal.database import db, writing
from clinic_portal.models import (
    Absence,
    AbsenceReason,
    Account,
    Appointment,
    AvailabilityException,
    Delivery,
    ExceptionKind,
    ExceptionStatus,
    Location,
    Notification,
    Origin,
    Patient,
    PriorityClass,
    Role,
    RoleGrant,
    RoleName,
    Status,
    Task,
    TaskKind,
)
from clinic_portal.scheduling.walk_ins import take_in
from clinic_portal.tasks import open_task
from tests.bookings import book, cancel, open_clinic
from tests.statements import sent_statements
from tests.visitor import Visitor
from tests.world import NOW, ZONE, World, add_patient, add_session, at

NEW_YORK = "America/New_York"
# The library's own addresses for changing things; none of them may answer.
CHANGING = ("new/", "edit/", "delete/", "action/", "ajax/update/", "ajax/lookup/", "export/csv/")
# Where something can be changed: forms of ours, each of which calls one service.
PATIENT_FORMS = ("patient-ask", "patient-codes", "patient-invite", "patient-needs", "patient-referrals",
                 "patient-rights", "patient-same")  # fmt: skip
OTHER_FORMS = ("todo/try", "todo/done", "todo/later", "appointments/private", "visit-type", "location", "setting",
               "accounts/reset", "text", "text/mail", "text/put-back")  # fmt: skip
REQUEST_FORMS = ("requests/details", "requests/times", "invitations")
ABSENCE_FORMS = ("away/plan", "away/undo")
# Searching changes nothing either, and is sent so that no name stands in an address.
DESK_FORMS = ("step", "late", "search", "walk-in", "walk-in/visit")
CALENDAR_FORMS = ("calendar/book", "calendar/move", "calendar/cancel")
ALL_FORMS = (*PATIENT_FORMS, *OTHER_FORMS, *REQUEST_FORMS, *ABSENCE_FORMS, *DESK_FORMS, *CALENDAR_FORMS)
FORMS = {f"/backoffice/{name}/" for name in ALL_FORMS}
ACCOUNTS = ("/backoffice/accounts/", "/backoffice/accounts/details/")
OF_ADMINS = (
    "/backoffice/audit/",
    "/backoffice/self-check/",
    "/backoffice/visit-type/",
    "/backoffice/location/",
    "/backoffice/setting/",
    "/backoffice/text/",
    *ACCOUNTS,
)
Get = Callable[..., TestResponse]


@pytest.fixture
def get(app: Flask, world: World) -> Get:
    """Open an address as one of the cast, or as nobody; each time in a context of its own, as the web server does."""

    def open_as(who: str | None, path: str, method: str = "GET", status: int | None = 200) -> TestResponse:
        answer = Visitor(app, who).open(path, method)
        assert status is None or answer.status_code == status, (path, answer.status_code, answer.text[:2000])
        return answer

    return open_as


@pytest.fixture
def limited(world: World) -> World:
    """Erin works at Mill Lane only, and not at Harbour Street."""
    limit_to(world.accounts["erin"], world.second_location_id)
    return world


@writing
def limit_to(session: Session, account_id: int, location_id: int) -> None:
    grant = session.scalars(select(RoleGrant).filter_by(account_id=account_id)).one()
    grant.location_id = location_id


@writing
def make_admin(session: Session, account_id: int, location_id: int | None = None) -> None:
    role = session.scalars(select(Role).filter_by(name=RoleName.ADMIN)).one()
    session.add(RoleGrant(account_id=account_id, role_id=role.id, location_id=location_id))


@writing
def move_clinic(session: Session, location_id: int, zone: str) -> None:
    location = session.get(Location, location_id)
    assert location is not None
    location.zone = zone


@writing
def add_request(session: Session, world: World, location_id: int | None = None) -> None:
    session.add(
        Appointment(patient_id=world.bob_id, visit_type_id=world.check_up_id, status=Status.WAITLIST,
                    origin=Origin.DESK, requested_at=NOW, target_at=NOW, location_id=location_id)
    )  # fmt: skip


@writing
def put_visit(session: Session, world: World, starts_at: datetime, location_id: int = 0, patient_id: int = 0) -> int:
    """A booked visit put there by hand, without the services."""
    ends_at = starts_at + timedelta(minutes=30)
    visit = Appointment(patient_id=patient_id or world.alice_id, visit_type_id=world.check_up_id, status=Status.BOOKED,
                        practitioner_id=world.chen_id, location_id=location_id or world.location_id,
                        starts_at=starts_at, ends_at=ends_at, blocked_from=starts_at, blocked_until=ends_at,
                        origin=Origin.DESK, requested_at=NOW, target_at=NOW)  # fmt: skip
    session.add(visit)
    session.flush()
    return visit.id


def visit_of(visit_id: int) -> Appointment:
    visit = db.session.get(Appointment, visit_id)
    assert visit is not None
    return visit


@writing
def deliver(session: Session, delivery: Delivery) -> None:
    for row in session.scalars(select(Notification)):
        row.delivery = delivery


def addresses(app: Flask) -> list[str]:
    """What can be opened; what is only sent to is among FORMS."""
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/backoffice")]
    return sorted(rule.rule for rule in rules if "GET" in (rule.methods or set()))


def cells(page: str) -> str:
    """The words in the table of a list, one space between them."""
    body = page.partition("<tbody")[2].partition(">")[2].partition("</tbody>")[0]
    return said(body)


def said(markup: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", markup).split())


# Who may look


def in_calendar(path: str, visit: Appointment) -> str:
    """What a form of the calendar needs: the visit, or whom to book and when."""
    assert visit.practitioner is not None
    is_new = "calendar/book/" in path
    return f"?clinician={visit.practitioner.public_id}&start=20260303T1100Z" if is_new else f"?id={visit.public_id}"


def one_of_its(path: str, visit: Appointment) -> str:
    """What a page about one record needs in its address."""
    if "accounts" in path:
        return "?id=1" if "details" in path else ""
    if "todo/" in path and path.endswith("details/"):
        return f"?id={task_about(visit.id)}"
    if "away/plan/" in path:
        assert visit.practitioner is not None
        when = "from=2026-03-03&starts=09:00&until=2026-03-03&ends=12:00"
        return f"?clinician={visit.practitioner.public_id}&{when}&reason=sick"
    if "calendar/" in path and not path.endswith("calendar/"):
        return in_calendar(path, visit)
    if "away/details/" in path:
        return f"?id={absence_around(visit.id)}"
    if any(name in path for name in ("visit-type/", "setting/", "/text/", "/texts/")):
        return f"?id={visit.visit_type.public_id}&name=clinic_name&kind=booked&language=en&version=0"
    if "location/" in path:
        return f"?id={db.session().get_one(Location, visit.location_id).public_id}"
    if "walk-in/visit/" in path:
        return f"?id={walk_in_of(visit)}"
    if "patient-" in path or "patients/details" in path:
        return f"?id={visit.patient.public_id}"
    return f"?id={visit.public_id}" if "details" in path or "times" in path else ""


def test_whoever_is_signed_out_is_asked_to_sign_in_and_comes_back(app: Flask, get: Get) -> None:
    for path in addresses(app):
        answer = get(None, path, status=303)
        assert answer.location.startswith("/login?next="), path
        assert path.strip("/").split("/")[-1] in answer.location


@pytest.mark.parametrize("who", ["alice", "mallory", "chen"])
def test_patients_and_practitioners_open_no_page_of_the_back_office(app: Flask, get: Get, who: str) -> None:
    assert len(addresses(app)) > 12
    for path in addresses(app):
        get(who, path, status=403)


def test_the_desk_opens_everything_but_the_audit_log_and_the_accounts(app: Flask, get: Get, world: World) -> None:
    visit = visit_of(put_visit(world, at(10)))
    for path in addresses(app):
        get("erin", path + one_of_its(path, visit), status=403 if path in OF_ADMINS else 200)
    menu = get("erin", "/backoffice/").text
    assert "Audit log" not in menu
    assert "Self-check" not in menu
    assert "Accounts" not in menu


def test_an_administrator_opens_everything(app: Flask, get: Get, world: World) -> None:
    make_admin(world.accounts["erin"])
    visit = visit_of(put_visit(world, at(10)))
    for path in addresses(app):
        get("erin", path + one_of_its(path, visit))


def test_an_administrator_of_one_location_does_not_read_the_log_of_all(get: Get, world: World) -> None:
    @writing
    def at_mill_lane(session: Session) -> None:
        role = session.scalars(select(Role).filter_by(name=RoleName.ADMIN)).one()
        session.add(RoleGrant(account_id=world.accounts["erin"], role_id=role.id, location_id=world.second_location_id))

    at_mill_lane()
    get("erin", "/backoffice/audit/", status=403)
    get("erin", "/backoffice/accounts/", status=403)


def test_only_our_own_forms_change_anything_in_the_back_office(app: Flask, get: Get, world: World) -> None:
    put_visit(world, at(10))
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/backoffice")]
    assert {rule.rule for rule in rules if "POST" in (rule.methods or set())} == FORMS
    assert all((rule.methods or set()) <= {"GET", "POST", "HEAD", "OPTIONS"} for rule in rules)
    before = everything()
    for path in FORMS:
        assert get("erin", path, "POST", status=None).status_code == 400, path
    app.config["WTF_CSRF_ENABLED"] = False
    for path in addresses(app):
        for address in ({path} - FORMS) | {path + name for name in CHANGING}:
            assert get("erin", address, "POST", status=None).status_code in (404, 405), address
    assert everything() == before


@writing
def task_about(session: Session, visit_id: int) -> int:
    """Something to do about a visit."""
    visit = session.get_one(Appointment, visit_id)
    open_task(session, TaskKind.CALL, patient_id=visit.patient_id, appointment_id=visit.id, due_at=NOW)
    return session.scalars(select(Task.id).filter_by(appointment_id=visit.id)).one()


def walk_in_of(visit: Appointment) -> str:
    """The patient of a visit comes without an appointment as well."""
    assert visit.location_id is not None
    actor = Actor(ActorKind.STAFF, db.session().scalars(select(Account.id).filter_by(fs_uniquifier="fs-erin")).one())
    return take_in(actor=actor, who=visit.patient_id, visit_type_id=visit.visit_type_id, location_id=visit.location_id,
                   priority=PriorityClass.ROUTINE, token="walk-in").public_id  # fmt: skip


@writing
def absence_around(session: Session, visit_id: int) -> str:
    """Whoever a visit is with is away the day after."""
    visit = session.get_one(Appointment, visit_id)
    on = NOW.date() + timedelta(days=2)
    off = AvailabilityException(practitioner_id=visit.practitioner_id, kind=ExceptionKind.OFF, zone=ZONE, starts_on=on,
                                status=ExceptionStatus.APPROVED, starts_min=0, ends_on=on, ends_min=1440)  # fmt: skip
    session.add(off)
    session.flush()
    made_by = session.scalars(select(Account.id).limit(1)).one()
    absence = Absence(practitioner_id=visit.practitioner_id, exception_id=off.id, reason=AbsenceReason.LEAVE,
                      created_at=NOW, created_by_account_id=made_by, leaves_at=NOW)  # fmt: skip
    session.add(absence)
    session.flush()
    return absence.public_id


def everything() -> list[tuple[Any, ...]]:
    db.session.rollback()
    tables = (Appointment, Patient, Account, Notification, Location)
    return [tuple(row) for model in tables for row in db.session.execute(select(model.__table__))]


# Appointments


def test_appointments_start_with_today_in_the_words_of_their_own_zone(get: Get, world: World) -> None:
    move_clinic(world.second_location_id, NEW_YORK)
    put_visit(world, at(10, 15))
    put_visit(world, at(20, day=2), world.second_location_id)
    put_visit(world, at(10, day=-1))
    shown = cells(get("erin", "/backoffice/appointments/").text)
    assert "Mon 2 Mar, 10:15am Alice Archer 4 May 1980 (45) Check-up Dr Chen Harbour Street Booked" in shown
    assert "Wed 4 Mar, 3pm" in shown
    assert "Sun 1 Mar" not in shown
    assert shown.index("Mon 2 Mar") < shown.index("Wed 4 Mar")
    assert "Sun 1 Mar, 10am" in cells(get("erin", "/backoffice/appointments/?from=").text)


def test_a_day_is_the_day_of_the_location(get: Get, world: World) -> None:
    move_clinic(world.second_location_id, NEW_YORK)
    put_visit(world, datetime(2026, 3, 3, 2, tzinfo=UTC), world.second_location_id)
    one_day = "/backoffice/appointments/?from=2026-03-0{0}&until=2026-03-0{0}"
    assert "Mon 2 Mar, 9pm" in cells(get("erin", one_day.format(2)).text)
    assert cells(get("erin", one_day.format(3)).text) == ""


def test_fields_narrow_the_list(get: Get, world: World) -> None:
    put_visit(world, at(10))
    late = put_visit(world, at(11), world.second_location_id, world.bob_id)
    base = "/backoffice/appointments/?"
    assert "Alice" not in cells(get("erin", f"{base}location={world.second_location_id}").text)
    assert "Bob" in cells(get("erin", f"{base}location={world.second_location_id}&status=booked").text)
    assert cells(get("erin", f"{base}clinician={world.diaz_id}").text) == ""
    assert visit_of(late).reference in get("erin", f"{base}until=2026-03-02&sort=0&desc=1").text


def test_a_status_without_a_time_is_found_whatever_the_days(get: Get, world: World) -> None:
    add_request(world)
    assert "Bob" not in cells(get("erin", "/backoffice/appointments/").text)
    for status in ("no_time", "waitlist"):
        shown = cells(get("erin", f"/backoffice/appointments/?from=2026-03-02&status={status}").text)
        assert shown.startswith("– Bob Baker")


def test_a_visit_is_found_by_name_or_birth_date(get: Get, world: World) -> None:
    put_visit(world, at(10))

    @writing
    def born_later(session: Session) -> None:
        bob = session.get(Patient, world.bob_id)
        assert bob is not None
        bob.birth_on = date(1990, 1, 1)

    born_later()
    put_visit(world, at(11), patient_id=world.bob_id)
    for typed in ("archer", "Arch", "alice archer", "Archer, Alice", "4/5/1980", "1980-05-04"):
        shown = cells(get("erin", f"/backoffice/appointments/?search={typed}").text)
        assert "Alice Archer" in shown, typed
        assert "Bob" not in shown, typed


def test_a_search_never_looks_inside_a_name(get: Get, world: World) -> None:
    put_visit(world, at(10))
    assert cells(get("erin", "/backoffice/appointments/?search=rcher").text) == ""


def test_a_reference_finds_its_visit_whatever_the_other_fields_say(get: Get, world: World) -> None:
    visit = visit_of(put_visit(world, at(10, day=-30)))
    typed = f"{visit.reference[:3]} {visit.reference[3:]}".lower()
    page = get("erin", f"/backoffice/appointments/?search={typed}&from=2026-03-02&status=cancelled").text
    assert visit.reference in cells(page)
    assert "1 appointment<" in page


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_a_day_at_the_end_of_the_calendar_is_no_day(get: Get, world: World, day: str) -> None:
    assert "From must be a date" in get("erin", f"/backoffice/appointments/?from={day}").text
    assert "Day must be a date" in get("erin", f"/backoffice/sessions/?day={day}").text


def test_nonsense_in_an_address_is_told_and_harms_nothing(get: Get, world: World) -> None:
    put_visit(world, at(10))
    page = get("erin", "/backoffice/appointments/?from=x&status=nope&clinician=999&sort=77&page=-4&desc=z").text
    for told in ("From must be a date", "Status must be one of the list", "Clinician must be one of the list"):
        assert told in page
    assert "Alice" in cells(page)
    get("erin", f"/backoffice/appointments/?page={10**30}")
    get("erin", "/backoffice/appointments/?search=%00%25_'%22&page=x")
    get("erin", "/backoffice/appointments/details/", status=404)
    get("erin", "/backoffice/appointments/details/?id=1", status=404)


def test_one_visit_tells_its_story(get: Get, world: World) -> None:
    open_clinic(world)
    visit = book(world, at(9, day=1))
    cancel(world, visit)
    page = " ".join(
        re.sub(r"<[^>]+>", " ", get("erin", f"/backoffice/appointments/details/?id={visit.public_id}").text).split()
    )
    for told in (
        f"Appointment {visit.reference} Cancelled",
        "Tue 3 Mar, 9am to 9:30am",
        "Why Dr Chen",
        "Only Dr Chen could take this time.",
        "The patient has no recent visit with Dr Chen.",
        "Cancelled Mon 2 Mar, 8am by the patient",
        "Status: Cancelled, was Booked",
        "alice@example.com",
        "E-mail a…@example.com",
    ):
        assert told in page, told


# One location only


def test_a_desk_of_one_location_sees_only_its_visits(get: Get, limited: World) -> None:
    here = visit_of(put_visit(limited, at(10), limited.second_location_id, limited.bob_id))
    there = visit_of(put_visit(limited, at(11)))
    page = get("erin", "/backoffice/appointments/").text
    assert "Bob" in cells(page)
    assert "Alice" not in cells(page)
    assert "Harbour Street</option>" not in page
    get("erin", f"/backoffice/appointments/details/?id={here.public_id}")
    get("erin", f"/backoffice/appointments/details/?id={there.public_id}", status=404)
    for tricks in (f"location={limited.location_id}", f"search={there.reference}", "search=archer&from="):
        assert "Alice" not in cells(get("erin", f"/backoffice/appointments/?{tricks}").text)


def test_a_desk_of_one_location_sees_only_its_sessions_messages_and_numbers(get: Get, limited: World) -> None:
    add_session(limited.chen_id, at(9), at(12), limited.location_id)
    add_session(limited.diaz_id, at(9), at(12), limited.second_location_id)
    open_clinic(limited)
    visit = book(limited, at(9, day=1))
    deliver(Delivery.TO_CALL)
    add_request(limited, limited.location_id)
    sessions = cells(get("erin", "/backoffice/sessions/").text)
    assert "Dr Diaz Mill Lane" in sessions
    assert "Harbour" not in sessions
    assert (
        visit.reference
        not in get("erin", f"/backoffice/messages/?search={visit.reference}").text.partition("<table")[2]
    )
    home = get("erin", "/backoffice/").text
    assert "Harbour Street</a>" not in home
    assert home.partition('class="office-work"')[2].count("<strong>0</strong>") == 6


def test_a_role_for_every_location_lifts_the_limit_of_another(get: Get, limited: World) -> None:
    put_visit(limited, at(11))
    make_admin(limited.accounts["erin"])
    assert "Alice" in cells(get("erin", "/backoffice/appointments/").text)


# The other lists


def test_sessions_are_those_of_one_day_with_ways_to_the_next(get: Get, world: World) -> None:
    add_session(world.chen_id, at(9), at(12), world.location_id, bookable_from=at(10))
    add_session(world.diaz_id, at(9, day=1), at(12, day=1), world.location_id)
    page = get("erin", f"/backoffice/sessions/?day=2026-03-02&clinician={world.chen_id}").text
    assert cells(page) == (
        "Mon 2 Mar, 9am to 12 midday Dr Chen Harbour Street 3 h 3 h Everybody Mon 2 Mar, 10am Planned –"
    )
    assert f"/backoffice/sessions/?day=2026-03-03&amp;clinician={world.chen_id}" in page
    assert "Dr Diaz" in cells(get("erin", "/backoffice/sessions/?day=2026-03-03").text)


def test_patients_are_listed_with_birth_date_and_never_a_whole_contact(get: Get, world: World) -> None:
    page = get("erin", "/backoffice/patients/").text
    assert cells(page).startswith("Alice Archer 4 May 1980 (45) E-mail a…@example.com Current")
    assert "alice@" not in page
    assert "Bob" not in cells(get("erin", "/backoffice/patients/?search=archer").text)


def test_messages_are_listed_newest_first_and_found_by_reference(get: Get, world: World) -> None:
    open_clinic(world)
    first, second = book(world, at(9, day=1)), book(world, at(10, day=1), patient_id=world.bob_id, actor=world.bob)
    shown = cells(get("erin", "/backoffice/messages/").text)
    assert shown.index(second.reference) < shown.index(first.reference)
    assert "Patient Alice Archer E-mail To be sent" in shown
    found = cells(get("erin", f"/backoffice/messages/?search={first.reference}&delivery=due").text)
    assert first.reference in found
    assert second.reference not in found
    assert cells(get("erin", "/backoffice/messages/?search=nobody").text) == ""


def test_clinicians_visit_types_and_locations_are_listed(get: Get, world: World) -> None:
    told = {
        "clinicians": "Dr Chen Doctor Check-up (30 min), Vaccine (10 min) Yes",
        "visit-types": "Vaccine Everybody 10 min, 2 clinicians 10 min 5 min Appointment Yes",
        "locations": "Harbour Street 12 Harbour Street 020 7946 0000 Europe/London Yes",
    }
    for path, text in told.items():
        assert text in cells(get("erin", f"/backoffice/{path}/").text)


def test_settings_show_value_default_unit_and_meaning(get: Get) -> None:
    shown = cells(get("erin", "/backoffice/settings/").text)
    assert "Harbour Street Clinic the clinic’s own Clinic text clinic_name" in shown
    assert "How far ahead patients book 42 42 days horizon_days" in shown


def test_the_audit_log_says_who_did_what_to_which_visit(get: Get, world: World) -> None:
    make_admin(world.accounts["erin"])
    open_clinic(world)
    visit = book(world, at(9, day=1))
    shown = cells(get("erin", f"/backoffice/audit/?search={visit.reference}").text)
    assert "Mon 2 Mar, 8am Patient alice@example.com" in shown
    assert f"Appointment {visit.reference} Alice Archer" in shown
    assert "Status: Booked" in shown


def test_home_counts_today_and_what_waits_for_somebody(get: Get, world: World) -> None:
    put_visit(world, at(10))
    put_visit(world, at(7))
    put_visit(world, at(10, day=1))
    open_clinic(world, day=2)
    book(world, at(9, day=2))
    deliver(Delivery.FAILED)
    task_about(put_visit(world, at(15)))
    add_request(world)
    page = get("erin", "/backoffice/").text
    assert cells(page.partition('id="visits-head"')[2]).startswith("Harbour Street 2 0 0 1 0 0 Mill Lane 0 0 0 0 0 0")
    count = db.session.scalar(select(func.count()).select_from(Notification))
    assert f"<strong>{count}</strong>" in page
    assert len(re.findall(r'class="office-work__open"', page)) == 4
    for href in re.findall(r'class="office-work__open"><a href="([^"]+)"', page):
        assert cells(get("erin", href.replace("&amp;", "&")).text) != ""


# Bounds


def test_a_list_asks_the_same_questions_however_long_it_is(get: Get, world: World) -> None:
    make_admin(world.accounts["erin"])
    open_clinic(world)
    book(world, at(9, day=1))
    paths = ("", "appointments/", "sessions/?day=2026-03-03", "patients/", "messages/", "clinicians/", "visit-types/",
             "locations/", "settings/", "audit/")  # fmt: skip
    few = {path: questions(get, path) for path in paths}

    @writing
    def more_people(session: Session) -> list[int]:
        return [add_patient(session, f"Given{n}", f"Family{n}").id for n in range(5)]

    for n, patient_id in enumerate(more_people()):
        book(world, at(9 + (n + 1) // 2, 30 * ((n + 1) % 2), day=1), patient_id=patient_id)
    for path in paths:
        assert questions(get, path) == few[path] <= (21 if path == "" else 15), path


def questions(get: Get, path: str) -> int:
    with sent_statements() as seen:
        get("erin", f"/backoffice/{path}")
    return len([statement for statement in seen if statement.startswith("SELECT")])


def test_counting_and_paging_stop_where_nobody_reads_on(
    get: Get, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "COUNTED", 4)
    monkeypatch.setattr(lists.ReadOnlyList, "page_size", 2)
    for hour in range(9, 15):
        put_visit(world, at(hour))
    first = get("erin", "/backoffice/appointments/").text
    assert "More than 4 appointments" in first
    assert "Page 1 of 2" in first
    last = get("erin", "/backoffice/appointments/?page=9").text
    assert "Page 2 of 2" in last
    assert "11am" in cells(last)
    assert 'rel="next"' not in last


def test_names_are_searched_by_an_index(app: Flask, world: World) -> None:
    query = select(Patient.id).where(find.people("archer"))
    sql = str(query.compile(db.engine, compile_kwargs={"literal_binds": True}))
    plan = " ".join(row[3] for row in db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}"))
    assert "ix_patients_search_name" in plan
    assert "SCAN" not in plan


def test_every_page_answers_on_both_databases(any_app: Flask, any_world: World) -> None:
    make_admin(any_world.accounts["erin"])
    open_clinic(any_world)
    visit = book(any_world, at(9, day=1))
    add_request(any_world)
    erin = Visitor(any_app, "erin")
    for path in addresses(any_app):
        assert erin.open(path + one_of_its(path, visit)).status_code == 200, path
    for query in ("search=archer", "search=4/5/1980", f"search={visit.reference}", "status=no_time", "status=booked"):
        assert "Check-up" in cells(erin.open(f"/backoffice/appointments/?{query}").text), query
    assert "Archer" in cells(erin.open("/backoffice/patients/?search=alice archer").text)
