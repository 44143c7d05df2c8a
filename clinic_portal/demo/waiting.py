"""People of the demo clinic who wait: to be looked at first, with a time offered, on the list; and who is invited."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.demo import rota
from clinic_portal.demo.chance import public_id
from clinic_portal.demo.diary import MOST_AHEAD_BY_PHONE, Diary, day_of
from clinic_portal.demo.lives import TARGET_DAYS, Moment, working_time
from clinic_portal.demo.people import Person
from clinic_portal.models import (
    ALL_PARTS,
    Appointment,
    Attempt,
    Audience,
    ClinicSession,
    Hold,
    HoldKind,
    Offer,
    OfferState,
    Origin,
    PractitionerVisitType,
    PriorityClass,
    Relation,
    Status,
    TaskKind,
    TriageStatus,
    VisitInvitation,
)
from clinic_portal.scheduling import masks
from clinic_portal.scheduling.requests import set_dates
from clinic_portal.scheduling.wishes import DayPart, parts_mask
from clinic_portal.tasks import open_task

SUNDAYS = parts_mask((rota.SAT + 1, part) for part in DayPart)
# Status, class and visit type of those who wait, how many days ago they asked, and when they could come. On Sundays
# nobody works, so that these go on waiting; procedures are looked at by a person first.
REQUESTS = (
    (Status.PROPOSED, PriorityClass.ROUTINE, rota.PROCEDURE, 0, ALL_PARTS),
    (Status.PROPOSED, PriorityClass.ROUTINE, rota.PROCEDURE, 1, ALL_PARTS),
    (Status.PROPOSED, PriorityClass.SOON, rota.PROCEDURE, 2, ALL_PARTS),
    (Status.PENDING, PriorityClass.SOON, rota.PHYSIO, 4, ALL_PARTS),
    (Status.PENDING, PriorityClass.ROUTINE, rota.LONG, 5, ALL_PARTS),
    (Status.WAITLIST, PriorityClass.ROUTINE, rota.CHECK_UP, 8, SUNDAYS),
    (Status.WAITLIST, PriorityClass.FLEXIBLE, rota.PHYSIO, 11, SUNDAYS),
    (Status.WAITLIST, PriorityClass.ROUTINE, rota.LONG, 6, SUNDAYS),
)
# A time offered yesterday afternoon is kept until tomorrow afternoon: a day's worth of hours in which people answer.
OFFERED_BEFORE, KEPT_FOR, OFFERED_AHEAD_DAYS = timedelta(hours=7), timedelta(hours=41), 10
# Who is invited, for what, and from how many days ahead until how many.
INVITATIONS = (("Maya", rota.LONG, 21, 42), ("Walter", rota.CHECK_UP, 1, 5))


def requests(session: Session, diary: Diary) -> Iterator[Appointment]:
    """People who asked and have no time yet; none of them gets another visit ahead."""
    may_ask = [person for person in diary.people if _may_ask(diary.moment, person)]
    for person, (status, priority, kind, days_ago, parts) in zip(
        diary.rng.sample(may_ask, len(REQUESTS)), REQUESTS, strict=True
    ):
        diary.ahead[person.patient.id] = MOST_AHEAD_BY_PHONE
        account = person.account if person.relation is Relation.SELF else None
        asked_at = working_time(diary.rng, diary.moment.today - timedelta(days=days_ago))
        visit_type = diary.clinic.visit_types[kind]
        visit = Appointment(
            public_id=public_id(diary.rng),
            patient_id=person.patient.id,
            visit_type_id=visit_type.id,
            status=status,
            origin=Origin.PATIENT_ONLINE if account else Origin.PHONE,
            booked_by_account_id=(account or diary.desk).id,
            priority_class=priority,
            requested_at=min(asked_at, diary.moment.midnight - timedelta(minutes=1)),
            target_at=asked_at + timedelta(days=TARGET_DAYS[priority]),
            triage_status=TriageStatus.WAITING if visit_type.needs_triage else TriageStatus.NOT_NEEDED,
            next_try_at=diary.moment.midnight,
            is_ask_first=status is Status.PENDING,
            not_placed_because="nothing_fits" if status is Status.WAITLIST else None,
            wish_parts=parts,
            wishes={"location_id": None, "needs": []},
        )
        set_dates(session, visit)
        yield visit


def _may_ask(moment: Moment, person: Person) -> bool:
    patient = person.patient
    is_settled = moment.today - patient.registered_on > timedelta(days=30) and patient.deceased_on is None
    return is_settled and not person.is_known and (patient.age_on(moment.today) or 0) >= 18


def add_offers_and_tasks(session: Session, diary: Diary, sessions: list[ClinicSession]) -> None:
    """Keep a time for each of those who are asked, and have somebody look at what must be looked at."""
    for visit in (visit for visit in diary.visits if visit.is_request):
        if visit.status is Status.PENDING:
            _offer(session, diary, visit, sessions)
        if visit.status is Status.WAITLIST:
            session.add(Attempt(appointment_id=visit.id, made_at=visit.requested_at, candidates=0,
                                reason=visit.not_placed_because))  # fmt: skip
        if visit.triage_status is TriageStatus.WAITING:
            assert visit.answer_by is not None
            with clock.clock_at(visit.requested_at):
                open_task(session, TaskKind.TRIAGE, patient_id=visit.patient_id, appointment_id=visit.id,
                          due_at=visit.answer_by)  # fmt: skip


def _offer(session: Session, diary: Diary, visit: Appointment, sessions: list[ClinicSession]) -> None:
    work, skill, first = next(
        (work, skill, found)
        for work in sessions
        if (day_of(work) - diary.moment.today).days >= OFFERED_AHEAD_DAYS and work.audience is Audience.PUBLIC
        for skill in diary.skills_for(work)
        if skill.visit_type_id == visit.visit_type_id
        if (found := _first_start(diary, work, skill)) is not None
    )
    grid_min, cells = diary.clinic.grid_min, skill.duration_min // diary.clinic.grid_min
    block = cells + skill.buffer_after_min // grid_min
    work.free &= ~(masks.run(block) << first - work.first_cell)
    starts_at = masks.to_instant(first, grid_min)
    sent_at, expires_at = diary.moment.midnight - OFFERED_BEFORE, diary.moment.midnight + KEPT_FOR
    hold = Hold(
        public_id=public_id(diary.rng), kind=HoldKind.OFFER, patient_id=visit.patient_id, appointment_id=visit.id,
        visit_type_id=visit.visit_type_id, practitioner_id=work.practitioner_id, location_id=work.location_id,
        starts_at=starts_at, ends_at=masks.to_instant(first + cells, grid_min), blocked_from=starts_at,
        blocked_until=masks.to_instant(first + block, grid_min), wishes=visit.wishes, choice={"candidates": 1},
        created_at=sent_at, expires_at=expires_at,
    )  # fmt: skip
    session.add(hold)
    session.flush()
    session.add(
        Offer(
            public_id=public_id(diary.rng), appointment_id=visit.id, patient_id=visit.patient_id, hold_id=hold.id,
            practitioner_id=work.practitioner_id, starts_at=starts_at, sent_at=sent_at, expires_at=expires_at,
            state=OfferState.OPEN, round_no=1,
        )
    )  # fmt: skip


def _first_start(diary: Diary, work: ClinicSession, skill: PractitionerVisitType) -> int | None:
    """The first free start of such a visit in a session, as a cell."""
    grid_min = diary.clinic.grid_min
    step_min = diary.clinic.visit_types[diary.name_of(skill)].start_step_min
    steps = masks.aligned(work.first_cell, work.cell_count, step_min // grid_min)
    starts = masks.starts(work.free, (skill.duration_min + skill.buffer_after_min) // grid_min) & steps
    bit = next(masks.bits(starts), None)
    return None if bit is None else work.first_cell + bit


def add_invitations(session: Session, diary: Diary) -> None:
    """Two people are asked to book a visit: one in some weeks, one whose days are soon over."""
    for given_name, kind, first, last in INVITATIONS:
        person = next(each for each in diary.people if each.patient.given_name == given_name)
        today, made_at = diary.moment.today, diary.moment.midnight - timedelta(days=3)
        session.add(
            VisitInvitation(
                public_id=public_id(diary.rng), patient_id=person.patient.id, priority_class=PriorityClass.ROUTINE,
                visit_type_id=diary.clinic.visit_types[kind].id, due_from=today + timedelta(days=first),
                due_until=today + timedelta(days=last), message="To see how you are getting on.",
                made_by_account_id=diary.desk.id, made_at=made_at,
                expires_at=clock.day_bounds(today + timedelta(days=last), rota.ZONE)[1],
            )
        )  # fmt: skip


def want_earlier(session: Session, diary: Diary) -> None:
    """One of the booked would come earlier."""
    walter = next(each for each in diary.people if each.patient.given_name == "Walter")
    found = select(Appointment).where(
        Appointment.patient_id == walter.patient.id, Appointment.status == Status.BOOKED,
        Appointment.starts_at > diary.moment.midnight + timedelta(days=2),
    )  # fmt: skip
    visit = session.scalars(found.order_by(Appointment.starts_at)).first()
    if visit is not None:
        visit.wants_earlier, visit.next_try_at = True, diary.moment.midnight
