"""Eight weeks of made-up visits, fuller near today, and a few requests that have no time yet."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.demo import rota
from clinic_portal.demo.clinic import DAYS_AHEAD, DAYS_BACK
from clinic_portal.demo.diary import Diary, book, day_of, may_come
from clinic_portal.demo.lives import Moment, forget
from clinic_portal.demo.people import Person
from clinic_portal.demo.waiting import add_invitations, add_offers_and_tasks, requests, want_earlier
from clinic_portal.models import (
    Audience,
    ClinicSession,
    PractitionerVisitType,
    Status,
)

# How much of the time is taken: today, four weeks back and four weeks ahead.
FULLEST, EMPTIEST_BACK, EMPTIEST_AHEAD = 0.72, 0.5, 0.2
# How often each kind of visit is asked for, among those that a clinician does.
DEMAND = {rota.CHECK_UP: 8, rota.LONG: 3, rota.VACCINE: 5, rota.SEXUAL_HEALTH: 2, rota.PHYSIO: 1, rota.PROCEDURE: 2}
# How much of a last visit must still lie within the share that is to be taken.
MOST_OF_A_VISIT = 0.7
TRIES = 60

# Visits of the people with a story, so that the demo sign-ins find something: who, which, how many days from today.
STORIES = (
    ("Maya", rota.LONG, -20),
    ("Maya", rota.CHECK_UP, 5),
    ("Joanna", rota.CHECK_UP, -9),
    ("Adam", rota.CHECK_UP, -12),
    ("Zofia", rota.VACCINE, 6),
    ("Helen", rota.PHYSIO, -9),
    ("George", rota.LONG, 4),
    ("Anjali", rota.CHECK_UP, 8),
    ("Arthur", rota.CHECK_UP, -26),
    ("Walter", rota.LONG, 7),
    ("Tunde", rota.CHECK_UP, 3),
)


def add_visits(session: Session, diary: Diary) -> None:
    """Fill the sessions and write what came of it."""
    sessions = _sessions(session, diary.moment)
    diary.visits.extend(requests(session, diary))
    for given_name, kind, days in STORIES:
        person = next(each for each in diary.people if each.patient.given_name == given_name)
        _tell(diary, [work for work in sessions if _is_from(diary.moment, work, days)], person, kind)
    for work in sessions:
        _fill(diary, work)
    _forget_two(diary)
    diary.visits.sort(key=lambda visit: (visit.requested_at, visit.patient_id))
    session.add_all(diary.visits)
    session.flush()
    add_offers_and_tasks(session, diary, sessions)
    add_invitations(session, diary)
    want_earlier(session, diary)


def _sessions(session: Session, moment: Moment) -> list[ClinicSession]:
    first, _ = clock.day_bounds(moment.today - timedelta(days=DAYS_BACK), rota.ZONE)
    until, _ = clock.day_bounds(moment.today + timedelta(days=DAYS_AHEAD), rota.ZONE)
    found = select(ClinicSession).where(ClinicSession.starts_at >= first, ClinicSession.starts_at < until)
    return list(session.scalars(found.order_by(ClinicSession.starts_at, ClinicSession.practitioner_id)))


def _is_from(moment: Moment, work: ClinicSession, days: int) -> bool:
    """Public time from so many days after today on."""
    return work.audience is Audience.PUBLIC and day_of(work) >= moment.today + timedelta(days=days)


def _tell(diary: Diary, sessions: list[ClinicSession], person: Person, kind: str) -> None:
    """Book the first time of a kind of visit that this person could have."""
    for work in sessions:
        for skill in diary.skills_for(work):
            is_fitting = diary.name_of(skill) == kind and may_come(diary, person, work, skill)
            if is_fitting and _share_taken(diary.moment, work) > 0 and book(diary, work, skill, person, is_sure=True):
                return


def _share_taken(moment: Moment, work: ClinicSession) -> float:
    """How full a session gets: the nearer to today the fuller; time that was not released before today is untouched."""
    if work.bookable_from >= moment.midnight:
        return 0.0
    days = (day_of(work) - moment.today).days
    least = EMPTIEST_AHEAD if days > 0 else EMPTIEST_BACK
    share = FULLEST - (FULLEST - least) * abs(days) / DAYS_AHEAD
    return share if work.audience is Audience.PUBLIC else share / 2


def _fill(diary: Diary, work: ClinicSession) -> None:
    skills = diary.skills_for(work)
    weights = [DEMAND[diary.name_of(skill)] for skill in skills]
    unwanted = work.cell_count - round(work.cell_count * _share_taken(diary.moment, work))
    for _ in range(TRIES):
        left_min = (work.free.bit_count() - unwanted) * diary.clinic.grid_min
        fitting = [skill.duration_min * MOST_OF_A_VISIT <= left_min for skill in skills]
        if not any(fitting):
            return
        skill = diary.rng.choices(skills, [weight * fits for weight, fits in zip(weights, fitting, strict=True)])[0]
        if (person := _somebody(diary, work, skill)) is not None:
            book(diary, work, skill, person)


def _somebody(diary: Diary, work: ClinicSession, skill: PractitionerVisitType) -> Person | None:
    """Of a few people drawn, one who may have this visit then, rather one who usually sees this practitioner."""
    drawn = diary.rng.sample(diary.people, 6)
    fitting = [person for person in drawn if not person.is_known and may_come(diary, person, work, skill)]
    return max(fitting, key=lambda person: person.usual_id == work.practitioner_id, default=None)


def _forget_two(diary: Diary) -> None:
    """The last two visits before today still wait for somebody at the desk to say how they went."""
    seen = [
        (visit.starts_at, visit.practitioner_id, visit)
        for visit in diary.visits
        if visit.status is Status.FULFILLED and visit.starts_at is not None and visit.starts_at < diary.moment.midnight
    ]
    for (_, _, visit), came in zip(sorted(seen, key=lambda each: each[:2])[-2:], (True, False), strict=True):
        forget(visit, came=came)
