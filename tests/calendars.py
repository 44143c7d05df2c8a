"""What the tests of the calendar share: booking and moving exactly, squeezing in, and a day on which much goes on."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from clinic_portal.audit import ActorKind
from clinic_portal.database import writing
from clinic_portal.models import (
    Appointment,
    Audience,
    AvailabilityException,
    AvailabilityRule,
    ClinicSession,
    Confirmation,
    ExceptionKind,
    ExceptionStatus,
    Mode,
    Origin,
    Practitioner,
    PractitionerKind,
    PractitionerVisitType,
    RuleKind,
    Status,
)
from clinic_portal.scheduling import masks
from clinic_portal.scheduling.booking import reserve_slot
from clinic_portal.scheduling.exactly import Spot, move_exactly
from clinic_portal.scheduling.search import Search
from tests.world import GRID, NOW, ZONE, World, add_patient, add_session, at

# In the middle of the busy day.
HALF_PAST_TEN = at(10, 32)
GIVEN = ("Maria", "Ewan", "Priya", "Oluwaseun", "Jean", "Nusrat", "Thomas", "Elif", "Harry", "Siobhan", "Marek")
FAMILY = ("Wójcik", "Öztürk", "Gallagher", "Fernandes-Castellanos", "Ellis", "Rahman", "Ng", "MacLeod", "Boateng")
DOCTORS = ("Okafor", "Brandt", "Nair", "Hale", "Frost", "Haddad", "Adeyemi", "Marques", "Mensah", "Lindqvist")
# On the busy day each of them has the same: the minute after eight, how long it takes, and what it is by then.
VISITS = (
    (0, 30, Status.FULFILLED), (30, 10, Status.NOSHOW), (45, 15, Status.FULFILLED), (60, 30, Status.BOOKED),
    (90, 30, Status.ARRIVED), (120, 20, Status.ARRIVED), (140, 20, Status.BOOKED), (165, 10, Status.BOOKED),
    (180, 30, Status.BOOKED), (225, 15, Status.BOOKED), (330, 30, Status.BOOKED), (375, 45, Status.BOOKED),
)  # fmt: skip


def move_to(
    world: World, visit: Appointment, starts_at: datetime, practitioner_id: int = 0, **more: Any
) -> Appointment:
    """Somebody at the desk puts a visit with exactly this clinician, Dr Chen unless said, at exactly this time."""
    spot = Spot(practitioner_id or world.chen_id, starts_at)
    said = {"actor": world.erin, "token": f"move {starts_at} {practitioner_id}", **more}
    return move_exactly(appointment_id=visit.id, spot=spot, **said)


def book_with(world: World, practitioner_id: int, starts_at: datetime, **more: Any) -> Appointment:
    """Somebody at the desk books exactly this clinician at exactly this time: a check-up for Alice, unless said."""
    search = Search(more.pop("visit_type_id", world.check_up_id), more.pop("patient_id", world.alice_id),
                    by=ActorKind.STAFF, mode=more.pop("mode", Mode.IN_PERSON),
                    beyond_caps=more.pop("beyond_caps", False))  # fmt: skip
    said = {"actor": world.erin, "token": f"book {practitioner_id} {starts_at}", **more}
    return reserve_slot(search=search, starts_at=starts_at, practitioner_id=practitioner_id, **said)


@writing
def squeeze(session: Session, visit_id: int) -> None:
    """As a named person would have: out of the lane, whose time is free again."""
    visit = session.get_one(Appointment, visit_id)
    visit.lane, visit.squeeze_in_reason = 1, "urgent"
    session.execute(update(ClinicSession).values(free=(1 << 36) - 1))


@writing
def add_doctors(session: Session, world: World, count: int) -> list[int]:
    """So many more, who do what the others do."""
    found = []
    for number in range(count):
        name = f"Dr {DOCTORS[number % len(DOCTORS)]}{' ' + 'I' * (number // len(DOCTORS)) if number >= 10 else ''}"
        doctor = Practitioner(name=name, kind=PractitionerKind.DOCTOR)
        session.add(doctor)
        session.flush()
        for type_id, minutes in ((world.check_up_id, 30), (world.vaccine_id, 10)):
            session.add(PractitionerVisitType(practitioner_id=doctor.id, visit_type_id=type_id, duration_min=minutes,
                                              duration_new_patient_min=minutes))  # fmt: skip
        found.append(doctor.id)
    return found


def busy_day(world: World, count: int = 20) -> list[int]:
    """At half past ten so many doctors work at two places, with visits of every state, breaks and protected time."""
    doctors = [world.chen_id, world.diaz_id, *add_doctors(world, max(count - 2, 0))][:count]
    for number, doctor in enumerate(doctors):
        place = world.location_id if number < count * 2 / 3 else world.second_location_id
        late = {"audience": Audience.STAFF} if number % 3 == 1 else {"bookable_from": at(12)} if number % 3 == 2 else {}
        hours = [add_session(doctor, at(8), at(12), place), add_session(doctor, at(13), at(16), place)]
        hours.append(add_session(doctor, at(16), at(17), place, **late))
        _fill(world, number, doctor, place, hours)
    return doctors


@writing
def _fill(session: Session, world: World, number: int, doctor: int, place: int, hours: list[int]) -> None:
    for index, (minute, minutes, status) in enumerate(VISITS):
        if (number + index) % 5 == 4:
            continue
        name = GIVEN[(number * 7 + index) % len(GIVEN)], FAMILY[(number * 5 + index) % len(FAMILY)]
        patient = add_patient(session, *name, email=False)
        visit = put_visit(session, world, doctor, place, at(8) + timedelta(minutes=minute), minutes, patient.id)
        visit.status = status
        if status in (Status.ARRIVED, Status.FULFILLED):
            visit.arrived_at = at(8) + timedelta(minutes=minute - 10)
        if (number + index) % 2 and status is Status.ARRIVED:
            visit.called_at = HALF_PAST_TEN
        if index == 7:
            visit.mode, visit.call_number = Mode.PHONE, "020 7946 0009"
        visit.confirmation = Confirmation.CONFIRMED if index == 8 else Confirmation.NOT_ASKED
    if number % 4 == 0:
        squeezed = add_patient(session, "Sam", "Squeezed", email=False)
        visit = put_visit(session, world, doctor, place, at(11, 10), 15, squeezed.id, lane=1)
        visit.squeeze_in_reason = "urgent"
    session.add(AvailabilityRule(practitioner_id=doctor, location_id=place, kind=RuleKind.BREAK, weekday=0,
                                 starts_min=720, ends_min=780, valid_from=NOW.date()))  # fmt: skip
    if number % 4 == 3:
        session.add(AvailabilityException(practitioner_id=doctor, kind=ExceptionKind.OFF, zone=ZONE, starts_min=1020,
                                          status=ExceptionStatus.APPROVED, starts_on=NOW.date(), ends_min=1440,
                                          ends_on=NOW.date()))  # fmt: skip


def put_visit(
    session: Session, world: World, doctor: int, place: int, starts_at: datetime, minutes: int, patient_id: int,
    lane: int = 0,
) -> Appointment:  # fmt: skip
    """A booked visit by hand, whose time is taken from the hours unless it is squeezed in."""
    ends_at = starts_at + timedelta(minutes=minutes)
    visit = Appointment(
        patient_id=patient_id, visit_type_id=world.vaccine_id if minutes == 10 else world.check_up_id,
        status=Status.BOOKED, practitioner_id=doctor, location_id=place, starts_at=starts_at, ends_at=ends_at,
        blocked_from=starts_at, blocked_until=ends_at, origin=Origin.DESK, requested_at=NOW, target_at=NOW, lane=lane,
        squeeze_in_reason="urgent" if lane else None,
    )  # fmt: skip
    session.add(visit)
    first, count = masks.to_cell(starts_at, GRID), minutes // GRID
    hours = session.query(ClinicSession).filter(
        ClinicSession.practitioner_id == doctor, ClinicSession.starts_at <= starts_at, ClinicSession.ends_at > starts_at
    )
    for row in hours if lane == 0 else ():
        row.free &= ~(masks.run(count) << (first - row.first_cell))
    session.flush()
    return visit
