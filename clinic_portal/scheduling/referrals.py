"""Referrals: entered by the desk, asked for where a visit type needs one, used up by the visits booked with them."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.accounts import _today
from clinic_portal.audit import Actor, record
from clinic_portal.database import run, writing
from clinic_portal.errors import InvalidRequest, NotAllowed, NotFound
from clinic_portal.models import MAX_FROM_WHOM, Appointment, Referral, VisitType, WhoMayBook, columns_of
from clinic_portal.scheduling.people import lock_patient

TOLD = ("visit_type_id", "received_on", "valid_until", "visits_allowed", "visits_used", "ended_at")
MOST_VISITS = 100
LONGEST_DAYS = 3 * 366


class Allowance(NamedTuple):
    """What a referral still allows: until which day, and how many visits more."""

    referral_id: int
    valid_until: date
    left: int


_LIVE = (
    select(Referral.id, Referral.valid_until, Referral.visits_allowed - Referral.visits_used)
    .where(
        Referral.patient_id == bindparam("patient_id"),
        Referral.visit_type_id == bindparam("visit_type_id"),
        Referral.ended_at.is_(None),
    )
    .order_by(Referral.valid_until, Referral.id)
)


def allowances_of(session: Session, patient_id: int, visit_type_id: int) -> tuple[Allowance, ...]:
    """The referrals of a patient for a visit type that nobody has ended, the one that runs out first in front."""
    rows = run(session, _LIVE, {"patient_id": patient_id, "visit_type_id": visit_type_id})
    return tuple(Allowance(*row) for row in rows)


_ALL_LIVE = (
    select(
        Referral.patient_id,
        Referral.visit_type_id,
        Referral.id,
        Referral.valid_until,
        Referral.visits_allowed - Referral.visits_used,
    )
    .where(Referral.patient_id.in_(bindparam("ids", expanding=True)), Referral.ended_at.is_(None))
    .order_by(Referral.valid_until, Referral.id)
)


def allowances_of_all(session: Session, patient_ids: list[int]) -> dict[tuple[int, int], list[Allowance]]:
    """As `allowances_of`, for many patients and every visit type at once: by patient and visit type."""
    found: dict[tuple[int, int], list[Allowance]] = {}
    for patient_id, visit_type_id, *allowance in run(session, _ALL_LIVE, {"ids": patient_ids}):
        found.setdefault((patient_id, visit_type_id), []).append(Allowance(*allowance))
    return found


def use_referral(session: Session, visit: Appointment, day: date) -> None:
    """Count a new visit on the referral that runs out first, inside the caller's transaction, if there is one.

    # Race: under the patient's lock; two visits cannot both take the last one.
    """
    for allowance in allowances_of(session, visit.patient_id, visit.visit_type_id):
        if allowance.left > 0 and day <= allowance.valid_until:
            _count(session, allowance.referral_id, 1)
            visit.referral_id = allowance.referral_id
            return


def give_back_referral(session: Session, visit: Appointment) -> None:
    """A visit that does not take place uses nothing up."""
    if visit.referral_id is not None:
        _count(session, visit.referral_id, -1)
        visit.referral_id = None


def _count(session: Session, referral_id: int, by: int) -> None:
    used = update(Referral).where(Referral.id == referral_id).values(visits_used=Referral.visits_used + by)
    session.execute(used)


@writing
def enter_referral(
    session: Session,
    *,
    actor: Actor,
    patient_id: int,
    visit_type_id: int,
    from_whom: str,
    received_on: date,
    valid_until: date,
    visits_allowed: int,
) -> Referral:
    """Note that somebody has sent a patient: from now the patient books such visits by themselves.

    The same referral again is the one that is there.
    Commits: the referral, audit.
    Raises: InvalidRequest naming the `field` that is wrong; NotAllowed for anybody but the clinic; NotFound.
    Source: clinic.md A7.
    """
    if not actor.is_clinic or actor.account_id is None:
        raise NotAllowed
    lock_patient(session, patient_id)
    _check(session, visit_type_id, from_whom, received_on, valid_until, visits_allowed)
    key = {"patient_id": patient_id, "visit_type_id": visit_type_id, "from_whom": from_whom,
           "received_on": received_on, "valid_until": valid_until, "visits_allowed": visits_allowed}  # fmt: skip
    known = session.scalar(select(Referral).filter_by(**key, ended_at=None))
    if known is not None:
        return known
    entered = Referral(**key, entered_by_account_id=actor.account_id)
    session.add(entered)
    session.flush()
    record(session, actor, "enter_referral", entered, after=columns_of(entered, TOLD), patient_id=patient_id)
    return entered


@writing
def end_referral(session: Session, *, actor: Actor, patient_id: int, referral_id: int) -> None:
    """Let nothing more be booked with a referral; visits that are booked stay.

    Commits: its end, audit.
    Raises: NotFound when it is none of this patient's, NotAllowed for anybody but the clinic.
    """
    if not actor.is_clinic:
        raise NotAllowed
    lock_patient(session, patient_id, for_new_time=False)
    referral = session.get(Referral, referral_id, populate_existing=True)
    if referral is None or referral.patient_id != patient_id:
        raise NotFound
    if referral.ended_at is None:
        before = columns_of(referral, TOLD)
        referral.ended_at = clock.now()
        after = columns_of(referral, TOLD)
        record(session, actor, "end_referral", referral, before=before, after=after, patient_id=patient_id)


def _check(
    session: Session, visit_type_id: int, from_whom: str, received_on: date, valid_until: date, visits_allowed: int
) -> None:
    visit_type = session.get(VisitType, visit_type_id)
    if visit_type is None or visit_type.who_may_book is not WhoMayBook.REFERRED:
        raise InvalidRequest("Choose a visit type that needs a referral.", field="visit_type")
    if not 0 < len(from_whom) <= MAX_FROM_WHOM:
        raise InvalidRequest(f"Enter who sent the patient, in {MAX_FROM_WHOM} characters or fewer.", field="from_whom")
    if received_on > _today(session):
        raise InvalidRequest("A referral cannot have come later than today.", field="received_on")
    if not 0 <= (valid_until - received_on).days <= LONGEST_DAYS:
        raise InvalidRequest("The last day must be after the day on which it came, within three years.",
                             field="valid_until")  # fmt: skip
    if not 1 <= visits_allowed <= MOST_VISITS:
        raise InvalidRequest(f"Enter how many visits, from 1 to {MOST_VISITS}.", field="visits_allowed")
