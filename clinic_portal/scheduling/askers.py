"""Who asks: what the queue must know of the patients of a batch, read for all of them at once.

Nothing here orders anybody: no-show history, age and language are never read for that (clinic.md 5).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

from sqlalchemy import BindParameter, bindparam, or_, select
from sqlalchemy.orm import Session, aliased

from clinic_portal.audit import ActorKind
from clinic_portal.database import run
from clinic_portal.models import (
    ACTIVE,
    REMOTE,
    Appointment,
    ContinuityWish,
    Hold,
    HoldKind,
    Location,
    Origin,
    Patient,
    PractitionerPreference,
    PreferenceKind,
    Status,
)
from clinic_portal.scheduling.continuity import SEEN_LAST, USUAL, same_person
from clinic_portal.scheduling.doers import Doer
from clinic_portal.scheduling.limits import DAYS_A_MONTH, LONGEST_VISIT, Limits, person_of
from clinic_portal.scheduling.picture import Kind
from clinic_portal.scheduling.referrals import Allowance, allowances_of_all
from clinic_portal.scheduling.search import OwnVisit, Search, Terms

# In which role somebody asked; the desk's requests are limited by nothing that limits patients online.
ASKED_BY = {Origin.PATIENT_ONLINE: ActorKind.PATIENT, Origin.PROXY_ONLINE: ActorKind.PROXY}
COUNTED = (Status.BOOKED, Status.ARRIVED, Status.FULFILLED)

_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_PATIENTS = select(
    Patient.id, Patient.birth_on, Patient.identity_status, Patient.deceased_on, Patient.merged_into_id
).where(Patient.id.in_(_IDS))
_PREFERENCES = select(
    PractitionerPreference.patient_id, PractitionerPreference.practitioner_id, PractitionerPreference.kind
).where(PractitionerPreference.patient_id.in_(_IDS))
_LATER = aliased(Appointment)
# The newest of all, and the newest that is not private: of one that is, a proxy's request must not tell.
_LAST_SEEN = select(
    Appointment.patient_id, Appointment.practitioner_id, Appointment.starts_at, Appointment.is_private
).where(
    Appointment.patient_id.in_(_IDS),
    Appointment.status == Status.FULFILLED,
    ~select(_LATER.id)
    .where(
        _LATER.patient_id == Appointment.patient_id,
        _LATER.status == Status.FULFILLED,
        _LATER.starts_at > Appointment.starts_at,
        or_(Appointment.is_private, ~_LATER.is_private),
    )
    .exists(),
)
_VISITS = (
    select(
        Appointment.id,
        Appointment.patient_id,
        Appointment.visit_type_id,
        Appointment.status,
        Appointment.starts_at,
        Appointment.ends_at,
        Appointment.is_private,
        Location.zone,
    )
    .join(Location, Location.id == Appointment.location_id)
    .where(Appointment.patient_id.in_(_IDS), Appointment.status.in_(ACTIVE), Appointment.starts_at > bindparam("since"))
    .order_by(Appointment.starts_at)
)
_OFFERED = (
    select(Hold.patient_id, Hold.appointment_id, Hold.starts_at, Hold.ends_at)
    .where(Hold.patient_id.in_(_IDS), Hold.kind == HoldKind.OFFER, Hold.closed_at.is_(None))
    .where(Hold.expires_at > bindparam("now"))
)


@dataclass
class Asker:
    """One patient, as far as the queue must know them."""

    row: Any
    usual: dict[int, str] = field(default_factory=dict)
    never: set[int] = field(default_factory=set)
    last_seen: tuple[int, datetime] | None = None
    last_seen_openly: tuple[int, datetime] | None = None
    visits: list[Any] = field(default_factory=list)
    # What is offered to the patient now: another request of theirs must not make the answer impossible.
    offered: list[OwnVisit] = field(default_factory=list)
    # By visit type.
    referrals: dict[int, tuple[Allowance, ...]] = field(default_factory=dict)

    @property
    def is_gone(self) -> bool:
        return self.row.deceased_on is not None or self.row.merged_into_id is not None

    def seen_as_told(self, by: ActorKind) -> tuple[int, datetime] | None:
        """By whom and when the patient was seen last, as far as who asks may know."""
        return self.last_seen_openly if by is ActorKind.PROXY else self.last_seen

    def own_visits(self, now: datetime, without_id: int) -> list[OwnVisit]:
        """What keeps the patient's time from now on, except one visit and what is offered for it."""
        visits = [OwnVisit(visit.id, visit.starts_at, visit.ends_at) for visit in self.visits if visit.ends_at > now]
        return [each for each in (*visits, *self.offered) if each.appointment_id != without_id]


def read_askers(session: Session, patient_ids: Iterable[int], now: datetime, days_back: int) -> dict[int, Asker]:
    """Everybody of a batch by id, in six queries.

    Args: days_back, how old visits may be that still count.
    """
    ids = {"ids": sorted(set(patient_ids))}
    found = {row.id: Asker(row) for row in run(session, _PATIENTS, ids)}
    for patient_id, practitioner_id, kind in run(session, _PREFERENCES, ids):
        if kind == PreferenceKind.NEVER:
            found[patient_id].never.add(practitioner_id)
        else:
            found[patient_id].usual[practitioner_id] = USUAL
    for patient_id, practitioner_id, starts_at, is_private in run(session, _LAST_SEEN, ids):
        asker, seen = found[patient_id], (practitioner_id, starts_at)
        asker.last_seen = max(asker.last_seen or seen, seen, key=itemgetter(1))
        if not is_private:
            asker.last_seen_openly = seen
    since = now - timedelta(days=days_back + 1) - LONGEST_VISIT
    for row in run(session, _VISITS, {**ids, "since": since}):
        found[row.patient_id].visits.append(row)
    for patient_id, *offered in run(session, _OFFERED, {**ids, "now": now}):
        found[patient_id].offered.append(OwnVisit(*offered))
    for (patient_id, visit_type_id), referrals in allowances_of_all(session, ids["ids"]).items():
        found[patient_id].referrals[visit_type_id] = tuple(referrals)
    return found


def terms_for(kind: Kind, search: Search, asker: Asker, now: datetime, seen_by: int | None = None) -> Terms:
    """The clinic's terms for one of the batch: as `load_terms` would read them for this search alone.

    Args: seen_by, who has the visit that is to be moved.
    """
    terms, settings, last = kind.terms, kind.terms.settings, asker.seen_as_told(search.by)
    since = now - timedelta(days=DAYS_A_MONTH * settings.number("continuity_months"))
    familiar = {last[0]: SEEN_LAST} if last and last[1] >= since else {}
    familiar.update(asker.usual)
    same_id = same_person(familiar) if seen_by is None else seen_by
    doers = _doers(terms, search, asker, same_id)
    limits = Limits(terms.limits.rules) if search.is_by_clinic else _limits(terms, search, asker, now)
    return replace(
        terms,
        search=search,
        now=now,
        zones=_zones(terms, search),
        doers=doers,
        familiar=familiar,
        same_id=same_id if same_id in doers else None,
        has_been_here=last is not None,
        limits=limits,
        notice=_notice(terms, search, limits),
    )


def _zones(terms: Terms, search: Search) -> dict[int, str]:
    if search.location_id is None or search.mode in REMOTE:
        return terms.zones
    return {place: zone for place, zone in terms.zones.items() if place == search.location_id}


def _doers(terms: Terms, search: Search, asker: Asker, same_id: int | None) -> dict[int, Doer]:
    if search.continuity is ContinuityWish.SAME_ONLY:
        is_there = same_id in terms.doers and same_id not in asker.never
        return {same_id: terms.doers[same_id]} if same_id is not None and is_there else {}
    if asker.never.isdisjoint(terms.doers):
        return terms.doers
    return {id_: doer for id_, doer in terms.doers.items() if id_ not in asker.never}


def _limits(terms: Terms, search: Search, asker: Asker, now: datetime) -> Limits:
    known_for = timedelta(days=DAYS_A_MONTH * terms.settings.number("existing_within_months", search.visit_type_id))
    seen = asker.seen_as_told(search.by)
    person = person_of(
        asker.row,
        [visit for visit in asker.visits if visit.status in COUNTED],
        now=now,
        is_familiar=seen is not None and seen[1] >= now - known_for,
        counts=lambda visit: visit.id != search.moving_id and not (visit.is_private and search.by is ActorKind.PROXY),
    )
    referrals = asker.referrals.get(search.visit_type_id, ())
    return Limits(terms.limits.rules, person, is_move=search.moving_id is not None, referrals=referrals)


def _notice(terms: Terms, search: Search, limits: Limits) -> timedelta:
    """The notice of the kind, which is a known patient's; longer for somebody new, none for the desk."""
    if search.is_by_clinic:
        return timedelta(0)
    if limits.person is None or limits.person.is_known:
        return terms.notice
    return max(terms.notice, timedelta(minutes=terms.settings.number("new_patient_notice_min", search.visit_type_id)))
