"""The demo clinic: alike for the same day, in line with every guarantee, and never where real patients are."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from flask_security.utils import verify_password
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from clinic_portal import clock, demo
from clinic_portal.database import db
from clinic_portal.errors import NotAllowed
from clinic_portal.models import (
    ACTIVE,
    Account,
    Appointment,
    AuditEntry,
    AvailabilityException,
    AvailabilityRule,
    Base,
    ClinicSession,
    Closure,
    ContactKind,
    ContactPoint,
    Delivery,
    Event,
    ExceptionKind,
    ExceptionStatus,
    Hold,
    Location,
    Mode,
    Notification,
    Offer,
    Patient,
    PatientAccess,
    PatientNeed,
    Practitioner,
    PractitionerPreference,
    PractitionerVisitType,
    PreferenceKind,
    Referral,
    ReleasePolicy,
    RuleKind,
    Status,
    Task,
    TaskKind,
    VisitInvitation,
    VisitType,
    WhoMayBook,
)
from clinic_portal.scheduling.invited import count_lapsing
from clinic_portal.scheduling.line import staff_queue
from clinic_portal.scheduling.search import Search
from clinic_portal.scheduling.sessions import refresh_sessions
from clinic_portal.scheduling.times import find_free_times
from clinic_portal.scheduling.waiting import Next
from clinic_portal.self_check import run_checks
from clinic_portal.settings import load_settings
from tests.conftest import opened, portal_config
from tests.world import NOW, World

TODAY = date(2026, 3, 2)
LONDON = ZoneInfo("Europe/London")
STEP = timedelta(minutes=5)
DAY = timedelta(days=1)
Rows = dict[str, list[tuple[Any, ...]]]


def midday(day: date) -> datetime:
    return datetime.combine(day, time(12), LONDON).astimezone(UTC)


@contextmanager
def portal(folder: Path, empty_database: Path, **env: str) -> Iterator[Session]:
    """A portal on an empty database of its own."""
    shutil.copyfile(empty_database, folder / "clinic.db")
    with opened(portal_config(folder, **env)):
        yield db.session()


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Session]:
    """The demo clinic of Monday 2 March 2026; only read from, except that a refresh must change nothing."""
    with portal(tmp_path_factory.mktemp("demo"), empty_database) as session, clock.clock_at(midday(TODAY)):
        demo.seed()
        yield session


@pytest.fixture(scope="module")
def rows(clinic: Session) -> Rows:
    """All rows of that clinic, read before a test opens another portal."""
    return rows_of(clinic)


def visits(session: Session, *statuses: Status) -> list[Appointment]:
    return list(session.scalars(select(Appointment).where(Appointment.status.in_(statuses))))


def count(session: Session, kind: type[Any]) -> int:
    return session.scalar(select(func.count()).select_from(kind)) or 0


SALTED = ("password", "salt")


def rows_of(session: Session) -> Rows:
    """Every row of every table, but for the password hashes, which carry a random salt, and the salts themselves."""
    return {
        table.name: [
            tuple(row)
            for row in session.execute(select(*[each for each in table.c if each.name not in ("password", "salt")]))
        ]
        for table in Base.metadata.sorted_tables
        # Random by its nature.
        if table.name != "catalogue_stamp"
    }


def test_two_clinics_of_the_same_day_are_equal_in_every_row(rows: Rows, tmp_path: Path, empty_database: Path) -> None:
    with portal(tmp_path, empty_database) as other:
        demo.seed(today=TODAY)
        there = rows_of(other)
    assert {name for name in rows if rows[name] != there[name]} == set()
    assert len(rows["appointments"]) > 1000


@pytest.mark.postgres
def test_postgres_gets_the_same_clinic(rows: Rows, postgres_app: Flask) -> None:
    demo.seed(today=TODAY)
    there = rows_of(db.session())
    assert {name for name in rows if sorted(map(str, rows[name])) != sorted(map(str, there[name]))} == set()


def test_the_clinic_has_what_it_promises(clinic: Session) -> None:
    promised = {Location: 2, Practitioner: 12, VisitType: 6, Patient: 301}
    assert {kind: count(clinic, kind) for kind in promised} == promised
    durations = {row.duration_min for row in clinic.scalars(select(PractitionerVisitType))}
    assert {10, 15, 20, 30, 45, 60} <= durations
    rules = list(clinic.scalars(select(AvailabilityRule)))
    assert {rule.every_n_weeks for rule in rules} == {1, 2}
    assert {rule.release_policy for rule in rules} == {
        ReleasePolicy.AT_ONCE, ReleasePolicy.DAYS_BEFORE, ReleasePolicy.NEVER
    }  # fmt: skip
    assert any(rule.kind is RuleKind.BREAK for rule in rules)
    assert load_settings(clinic).value("emergency_number") == "999"


def test_people_live_in_families_and_some_have_no_email(clinic: Session) -> None:
    emails: dict[str, set[int]] = {}
    for point in clinic.scalars(select(ContactPoint).where(ContactPoint.kind == ContactKind.EMAIL)):
        emails.setdefault(point.value, set()).add(point.patient_id)
    assert sum(len(patients) > 1 for patients in emails.values()) >= 20
    assert 20 <= 300 - len(set().union(*emails.values())) <= 90
    patients = list(clinic.scalars(select(Patient)))
    assert len({patient.preferred_language for patient in patients}) >= 6
    assert sum(patient.deceased_on is not None for patient in patients) == 1
    assert {rule.kind for rule in clinic.scalars(select(PractitionerPreference))} == set(PreferenceKind)


def test_every_address_and_number_is_fictional(clinic: Session) -> None:
    """Ofcom keeps these numbers for drama, RFC 2606 these domains for examples."""
    fictional = {
        ContactKind.EMAIL: r"[a-z.0-9]+@example\.(com|org)",
        ContactKind.MOBILE: r"07700 900\d{3}",
        ContactKind.LANDLINE: r"020 7946 0\d{3}",
        ContactKind.POST: r"\d+ [A-Za-z ]+, London SE\d+",
    }
    for point in clinic.scalars(select(ContactPoint)):
        assert re.fullmatch(fictional[point.kind], point.value)
    for account in clinic.scalars(select(Account)):
        assert re.fullmatch(fictional[ContactKind.EMAIL], account.email)


def test_the_printed_sign_ins_open_the_accounts_they_name(clinic: Session) -> None:
    accounts = {account.email: account for account in clinic.scalars(select(Account))}
    roles = [(accounts[email].roles[0].name, accounts[email].password) for _, email, _ in demo.sign_ins()]
    assert [name for name, _ in roles] == ["patient"] * 5 + ["practitioner", "front_desk", "admin"]
    assert len({hashed for _, hashed in roles}) == 1
    assert verify_password(demo.sign_ins()[0][2], roles[0][1])
    others = set(accounts) - {email for _, email, _ in demo.sign_ins()}
    assert all(accounts[email].password is None for email in others if email.endswith("@example.com"))


def test_the_mother_acts_for_herself_and_two_children_and_the_daughter_for_her_father(clinic: Session) -> None:
    def acts_for(email: str) -> list[tuple[str, str]]:
        rows = clinic.execute(
            select(Patient.given_name, PatientAccess.relation)
            .join(PatientAccess, PatientAccess.patient_id == Patient.id)
            .join(Account, Account.id == PatientAccess.account_id)
            .where(Account.email == email)
        )
        return sorted((row.given_name, row.relation.value) for row in rows)

    assert acts_for("joanna.nowak@example.com") == [("Adam", "parent"), ("Joanna", "self"), ("Zofia", "parent")]
    assert acts_for("helen.whitfield@example.com") == [("George", "carer"), ("Helen", "self")]


def test_the_demo_patient_has_been_seen_and_has_a_visit_to_move(clinic: Session) -> None:
    maya = clinic.scalars(select(Patient).where(Patient.given_name == "Maya", Patient.family_name == "Fernandes")).one()
    seen, ahead = clinic.scalars(
        select(Appointment).where(Appointment.patient_id == maya.id).order_by(Appointment.starts_at)
    )
    assert (seen.status, ahead.status) == (Status.FULFILLED, Status.BOOKED)
    assert ahead.starts_at is not None
    assert ahead.starts_at > midday(TODAY) + 4 * DAY


def test_the_desk_has_something_of_everything_to_do(clinic: Session) -> None:
    kinds = clinic.scalars(select(Task.kind).order_by(Task.kind))
    assert list(kinds) == [TaskKind.CALL, TaskKind.INTERPRETER, TaskKind.SAME_PERSON, *[TaskKind.TRIAGE] * 3]
    assert count(clinic, PatientNeed) == 5
    (referral,) = clinic.scalars(select(Referral))
    assert referral.visit_type.who_may_book is WhoMayBook.REFERRED


def test_the_teenagers_visit_is_hidden_from_her_mother(clinic: Session) -> None:
    account = select(Account.id).where(Account.email == "anjali.sharma@example.com")
    anjali = clinic.scalars(select(PatientAccess.patient_id).where(PatientAccess.account_id.in_(account))).one()
    rights = select(Account.email, PatientAccess.relation).join(PatientAccess, PatientAccess.account_id == Account.id)
    assert sorted(map(tuple, clinic.execute(rights.where(PatientAccess.patient_id == anjali)))) == [
        ("anjali.sharma@example.com", "self"), ("meera.sharma@example.com", "parent")
    ]  # fmt: skip
    ahead = select(Appointment.is_private).where(Appointment.patient_id == anjali, Appointment.starts_at > NOW)
    assert list(clinic.scalars(ahead)) == [True]


def test_every_status_is_there(clinic: Session) -> None:
    assert set(clinic.scalars(select(Appointment.status))) == set(Status)


def test_everybody_who_waits_is_there(clinic: Session) -> None:
    line = [(each.appointment.status, each.next) for each in staff_queue(clinic)]
    assert {next_ for _, next_ in line} == {Next.LOOK_AT_IT, Next.ANSWER_OFFER, Next.WAITS_FOR_TIME}
    triage = clinic.scalars(select(Task).filter_by(kind=TaskKind.TRIAGE)).all()
    assert len(triage) == sum(next_ is Next.LOOK_AT_IT for _, next_ in line) == 3
    assert count_lapsing(clinic) == 1
    assert count(clinic, VisitInvitation) == 2
    assert list(clinic.scalars(select(Appointment.status).filter_by(wants_earlier=True))) == [Status.BOOKED]


def test_nothing_happened_before_it_could(clinic: Session) -> None:
    now = midday(TODAY)
    for visit in visits(clinic, *Status):
        moments = [visit.requested_at, visit.booked_at, visit.cancelled_at, visit.arrived_at, visit.ended_at]
        assert all(moment <= now for moment in moments if moment is not None)
        assert visit.requested_at.date() >= visit.patient.registered_on
        if visit.starts_at is not None:
            assert visit.booked_at is not None
            assert visit.booked_at < visit.starts_at
        if visit.cancelled_at is not None:
            assert visit.starts_at is not None
            assert visit.requested_at <= visit.cancelled_at < visit.starts_at
        if visit.ended_at is not None:
            assert visit.arrived_at is not None
            assert visit.arrived_at < visit.ended_at


def test_outcomes_belong_to_the_past_and_the_future_is_booked(clinic: Session) -> None:
    now = midday(TODAY)
    for visit in visits(clinic, Status.FULFILLED, Status.NOSHOW):
        assert visit.ends_at is not None
        assert visit.ends_at < now
        assert visit.outcome_code is not None
    unresolved = [
        visit
        for visit in visits(clinic, Status.BOOKED, Status.ARRIVED)
        if visit.ends_at is not None and visit.ends_at < clock.day_bounds(TODAY, "Europe/London")[0]
    ]
    assert sorted(visit.status.value for visit in unresolved) == ["arrived", "booked"]


def test_never_means_never_and_nobody_is_seen_after_death(clinic: Session) -> None:
    never = {
        (rule.patient_id, rule.practitioner_id)
        for rule in clinic.scalars(select(PractitionerPreference).filter_by(kind=PreferenceKind.NEVER))
    }
    everything = visits(clinic, *Status)
    assert not never & {(visit.patient_id, visit.practitioner_id) for visit in everything}
    for visit in everything:
        if visit.patient.deceased_on is not None and visit.starts_at is not None:
            assert visit.starts_at.date() < visit.patient.deceased_on


def test_no_message_is_due_at_the_start_and_time_is_held_for_open_offers_only(clinic: Session) -> None:
    assert count(clinic, Hold) == 2
    assert all(offer.is_live(midday(TODAY)) for offer in clinic.scalars(select(Offer)))
    messages = list(clinic.scalars(select(Notification)))
    # One call is among the work that waits at the desk.
    others = [message.delivery for message in messages if message.event != Event.REMINDER]
    assert [delivery for delivery in others if delivery is not Delivery.SENT] == [Delivery.TO_CALL]
    assert min(message.due_at for message in messages if message.event == Event.REMINDER) > midday(TODAY)


def test_visits_ahead_have_their_reminders(clinic: Session) -> None:
    ahead = [visit for visit in visits(clinic, Status.BOOKED) if visit.starts_at and visit.starts_at > midday(TODAY)]
    reminded = set(clinic.scalars(select(Notification.appointment_id).where(Notification.event == Event.REMINDER)))
    for visit in ahead:
        assert visit.starts_at is not None
        is_soon = visit.starts_at - midday(TODAY) < 2 * DAY
        has_mailbox = any(point.is_usable and point.kind == "email" for point in visit.patient.contact_points)
        assert (visit.id in reminded) == has_mailbox or is_soon, visit.id
        offsets = "3d 1d" if visit.mode is Mode.IN_PERSON else "3d 1d 1h"
        assert visit.reminder_rules == f"{offsets}; quiet 20:00-08:00"
    assert {visit.mode for visit in ahead} == {Mode.IN_PERSON, Mode.PHONE, Mode.VIDEO}
    assert [entry.action for entry in clinic.scalars(select(AuditEntry))] == ["seeded"]


def test_today_is_well_booked_and_weeks_ahead_are_not(clinic: Session) -> None:
    def taken(from_day: int, until_day: int) -> float:
        low, high = (midday(TODAY) + days * DAY for days in (from_day, until_day))
        rows = list(
            clinic.scalars(select(ClinicSession).where(ClinicSession.starts_at > low, ClinicSession.starts_at < high))
        )
        return 1 - sum(row.free.bit_count() for row in rows) / sum(row.cell_count for row in rows)

    assert taken(-4, 4) > 0.55
    assert 0.1 < taken(21, 28) < 0.45
    assert taken(29, 60) == 0


def test_free_cells_are_the_hours_less_the_visits(clinic: Session) -> None:
    assert free_by_masks(clinic, STEP) == free_by_rules(clinic, TODAY, STEP)


def test_rules_find_nothing_to_change_in_the_seeded_sessions(clinic: Session) -> None:
    for practitioner in clinic.scalars(select(Practitioner)).all():
        changes = refresh_sessions(practitioner_id=practitioner.id)
        assert changes.kept > 0
        assert dataclasses.replace(changes, kept=0) == type(changes)(0, 0, 0, 0, 0)


def test_every_visit_type_can_be_booked_in_the_next_two_weeks(clinic: Session) -> None:
    assert types_without_free_times(clinic, TODAY) == []


def types_without_free_times(session: Session, today: date) -> list[str]:
    """Visit types that somebody new could not book within two weeks."""
    stranger = session.scalars(select(Patient.id).order_by(Patient.registered_on.desc())).first()
    missing = []
    for visit_type in session.scalars(select(VisitType)):
        referred = session.scalar(select(Referral.patient_id).filter_by(visit_type_id=visit_type.id))
        days = find_free_times(session, Search(visit_type.id, patient_id=referred or stranger), today, 14)
        if not any(days.values()):
            missing.append(visit_type.name)
    return missing


def free_by_masks(session: Session, step: timedelta) -> set[tuple[int, datetime]]:
    return {
        (row.practitioner_id, row.starts_at + bit * step)
        for row in session.scalars(select(ClinicSession))
        for bit in range(row.cell_count)
        if row.free >> bit & 1
    }


def free_by_rules(session: Session, today: date, step: timedelta) -> set[tuple[int, datetime]]:
    """The same from scratch, cell by cell on the wall clock: no masks, no sessions."""
    free = set().union(*(_worked(session, today, step, rule) for rule in session.scalars(
        select(AvailabilityRule).filter_by(kind=RuleKind.CLINIC))))  # fmt: skip
    for rule in session.scalars(select(AvailabilityRule).filter_by(kind=RuleKind.BREAK)):
        free -= _worked(session, today, step, rule)
    for exception in session.scalars(select(AvailabilityException).filter_by(status=ExceptionStatus.APPROVED)):
        first, end = _wall(exception.starts_on, exception.starts_min), _wall(exception.ends_on, exception.ends_min)
        cells = {(exception.practitioner_id, at.astimezone(UTC)) for at in _every(first, end, step)}
        free = free | cells if exception.kind is ExceptionKind.EXTRA else free - cells
    for kept in [*visits(session, *ACTIVE), *session.scalars(select(Hold))]:
        free -= {(kept.practitioner_id, at) for at in _every(kept.blocked_from, kept.blocked_until, step)}
    return free


def _worked(session: Session, today: date, step: timedelta, rule: AvailabilityRule) -> set[tuple[int, datetime]]:
    shut = {
        closure.first_on
        for closure in session.scalars(select(Closure))
        if closure.location_id in (None, rule.location_id)
    }
    found = set()
    for offset in range(-28, 91):
        day = today + offset * DAY
        weeks = (day - (rule.anchor_on or day)).days // 7
        if day.weekday() == rule.weekday and weeks % rule.every_n_weeks == 0 and day not in shut:
            found |= set(_every(_wall(day, rule.starts_min), _wall(day, rule.ends_min), step))
    return {(rule.practitioner_id, at.astimezone(UTC)) for at in found}


def _wall(day: date, minute: int) -> datetime:
    return datetime.combine(day, time(), LONDON) + timedelta(minutes=minute)


def _every(first: datetime | None, end: datetime | None, step: timedelta) -> Iterator[datetime]:
    assert first is not None
    assert end is not None
    while first < end:
        yield first
        first += step


@pytest.mark.parametrize(
    ("today", "grid_min"),
    [
        pytest.param(date(2026, 3, 29), 5, id="a Sunday on which clocks go forward"),
        pytest.param(date(2028, 2, 29), 5, id="29 February", marks=pytest.mark.slow),
        pytest.param(date(2026, 10, 25), 10, id="clocks go back, on a grid of 10 minutes", marks=pytest.mark.slow),
        pytest.param(date(2026, 12, 31), 15, id="31 December, on a grid of 15 minutes", marks=pytest.mark.slow),
    ],
)
def test_any_day_and_any_grid_will_do(today: date, grid_min: int, tmp_path: Path, empty_database: Path) -> None:
    step = timedelta(minutes=grid_min)
    with portal(tmp_path, empty_database, GRID_MIN=str(grid_min)) as session, clock.clock_at(midday(today)):
        demo.seed()
        assert set(session.scalars(select(Appointment.status))) == set(Status)
        assert free_by_masks(session, step) == free_by_rules(session, today, step)
        assert types_without_free_times(session, today) == []


@pytest.mark.slow
def test_the_time_of_day_changes_only_how_far_todays_visits_have_come(
    rows: Rows, tmp_path: Path, empty_database: Path
) -> None:
    with portal(tmp_path, empty_database) as early, clock.clock_at(midday(TODAY) - timedelta(hours=11)):
        demo.seed()
        there = rows_of(early)
    assert {name for name in rows if rows[name] != there[name]} == {
        "appointments",
        "audit_entries",
        # Visits by phone have a reminder an hour before.
        "notifications",
    }
    first, until = (bound.replace(tzinfo=None) for bound in clock.day_bounds(TODAY, "Europe/London"))
    names = [column.name for column in Appointment.__table__.columns]
    at = names.index("starts_at")
    for before, after in zip(there["appointments"], rows["appointments"], strict=True):
        if before != after:
            assert first <= before[at].replace(tzinfo=None) < until
            assert before[names.index("status")] is Status.BOOKED


def test_production_is_refused(app: Flask) -> None:
    app.config["PORTAL"] = dataclasses.replace(app.config["PORTAL"], environment="production")
    with pytest.raises(NotAllowed):
        demo.seed()
    assert demo.is_empty()


def test_a_database_with_people_is_refused_and_left_alone(world: World) -> None:
    before = rows_of(db.session())
    assert not demo.is_empty()
    with pytest.raises(NotAllowed):
        demo.seed()
    assert rows_of(db.session()) == before


def test_the_self_check_finds_nothing_wrong_but_that_nothing_runs_yet(clinic: Session) -> None:
    wrong = [check.name for check in run_checks() if check.count]
    assert wrong == ["The queue has looked at everybody who is due", "Everything that happens by itself has happened"]
