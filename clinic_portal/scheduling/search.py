"""What somebody looks for, and the clinic's terms for it: who does such visits, how long, and from when until when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import Boolean, bindparam, or_, select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import ActorKind
from clinic_portal.catalogue import Catalogue, catalogue
from clinic_portal.database import read_once, run
from clinic_portal.errors import (
    InvalidRequest,
    ModeNotOffered,
    NotBookableOnline,
    NotFound,
    OutsideHorizon,
    SafetyAnswerMissing,
    TooSoon,
)
from clinic_portal.languages import N_
from clinic_portal.models import (
    ACTIVE,
    REMOTE,
    Appointment,
    ContinuityWish,
    Location,
    Mode,
    Need,
    Patient,
    PractitionerPreference,
    PreferenceKind,
    Status,
    VisitInvitation,
    VisitType,
    WhoMayBook,
)
from clinic_portal.scheduling import masks
from clinic_portal.scheduling.continuity import SEEN_LAST, USUAL, same_person
from clinic_portal.scheduling.doers import Doer, doers_of
from clinic_portal.scheduling.limits import DAYS_A_MONTH, Limits, Rules, read_person, rules_of
from clinic_portal.scheduling.modes import offered_modes
from clinic_portal.scheduling.needs import GENDER_ASKED, INTERPRETED, extra_minutes, notice_for_interpreter
from clinic_portal.scheduling.referrals import allowances_of
from clinic_portal.scheduling.safety import SafetyAnswer
from clinic_portal.settings import Settings, settings_in, shown_window
from clinic_portal.visit_texts import text_in


@dataclass(frozen=True)
class Search:
    """A visit type for a patient, with wishes; `account_id`'s own holds and the visit being moved count as free."""

    visit_type_id: int
    patient_id: int | None = None
    location_id: int | None = None
    needs: frozenset[Need] = frozenset()
    # A visit that is moved keeps its own, whatever stands here.
    mode: Mode = Mode.IN_PERSON
    continuity: ContinuityWish = ContinuityWish.NONE
    account_id: int | None = None
    moving_id: int | None = None
    # In which role: the desk is not limited, and a proxy must not learn of private visits.
    by: ActorKind = ActorKind.PATIENT
    safety: SafetyAnswer | None = None
    # Whose days limit the choice, and not the clinic's horizon.
    invitation_id: int | None = None
    # The desk, and nobody else, may give somebody more visits than they have on one day; they count all the same.
    beyond_caps: bool = False

    @property
    def is_by_clinic(self) -> bool:
        return self.by not in (ActorKind.PATIENT, ActorKind.PROXY)

    def wishes(self) -> dict[str, Any]:
        """What is kept on the visit: why it was put where it is."""
        wishes = {"location_id": self.location_id, "needs": sorted(self.needs), "continuity": self.continuity.value}
        return wishes if self.invitation_id is None else {**wishes, "invitation_id": self.invitation_id}


@dataclass(frozen=True)
class OwnVisit:
    """A visit that the patient already has in the time looked at."""

    appointment_id: int
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True)
class Terms:
    """Everything that decides which times are free for one search, except the times themselves."""

    search: Search
    now: datetime
    grid_min: int
    step_cells: int
    settings: Settings
    zones: dict[int, str]
    doers: dict[int, Doer]
    familiar: dict[int, str]
    has_been_here: bool
    limits: Limits
    catalogue: Catalogue
    notice: timedelta = field(default_factory=timedelta)
    # Whole cells of what the needs add; in the doers' lengths already.
    extra_minutes: int = 0
    # The practitioner of last time, if such visits can be had there.
    same_id: int | None = None
    # When the visit that is moved begins now.
    moved_from: datetime | None = None
    # First and last day of the invitation that is used.
    due: tuple[date, date] | None = None

    @property
    def window_min(self) -> int:
        """How long the stretch of the day is that the patient is told; 0 where it is told to the minute."""
        return shown_window(self.settings, self.search.mode, self.search.visit_type_id)

    @property
    def told_zone(self) -> str:
        """Whose clock the pages of this search follow."""
        return next(iter(self.zones.values()))

    @property
    def earliest_at(self) -> datetime:
        """No visit may start before this. Source: UC2.1, minimum notice in real hours."""
        return self.now + self.notice

    def day_range(self) -> tuple[date, date]:
        """First and last local day on which a visit may start for this patient; the whole horizon when none may."""
        return self._day_range

    @cached_property
    def _day_range(self) -> tuple[date, date]:
        first, last = self._horizon
        if not self.limits.depend_on_day:
            return first, last
        allowed = [day for day in days_between(first, last) if self.limits.refusal_on(day) is None]
        return (allowed[0], allowed[-1]) if allowed else (first, last)

    @cached_property
    def _horizon(self) -> tuple[date, date]:
        horizon = timedelta(days=self.settings.number("horizon_days", self.search.visit_type_id))
        zones = set(self.zones.values())
        first = min(clock.local_date(self.earliest_at, zone) for zone in zones)
        if self.due is None:
            return first, max(clock.local_date(self.now, zone) for zone in zones) + horizon
        # Source: clinic.md 10: invitations reach until the end of their own days. The notice may leave nothing of them.
        return min(max(first, self.due[0]), self.due[1]), self.due[1]

    def window(self, first_day: date, days: int) -> tuple[datetime, datetime]:
        """The instants from the start of the first day until the end of the last, over all places, within the terms."""
        low, high = self.day_range()
        last_day = min(first_day + timedelta(days=days - 1), high)
        zones = set(self.zones.values())
        start = min(clock.day_bounds(max(first_day, low), zone)[0] for zone in zones)
        return max(start, self.earliest_at), max(clock.day_bounds(last_day, zone)[1] for zone in zones)

    def check_start(self, starts_at: datetime) -> None:
        """Refuse a start that no page would show, whoever may be free.

        Raises: InvalidRequest off the grid, TooSoon inside the notice, OutsideHorizon beyond the last day.
        """
        try:
            masks.to_cell(starts_at, self.grid_min)
        except ValueError as error:
            raise InvalidRequest(N_("Choose one of the times on the page.")) from error
        if starts_at < self.earliest_at:
            raise TooSoon
        first, last = self._horizon
        days = {clock.local_date(starts_at, zone) for zone in set(self.zones.values())}
        if self.due is not None and not any(first <= day <= last for day in days):
            raise InvalidRequest(N_("Choose one of the days of the invitation."))
        if all(day > last for day in days):
            raise OutsideHorizon

    def refusal(self) -> NotBookableOnline | None:
        """Why the clinic does not let this patient book this visit type online at all, if it does not."""
        if not self.limits.depend_on_day:
            return self.limits.refusal()
        days = list(days_between(*self._horizon))
        refused_days = [refusal for day in days if (refusal := self.limits.refusal_on(day)) is not None]
        # A move with no day left shows that there are no times.
        never = refused_days[0] if days and len(refused_days) == len(days) and not self.limits.is_move else None
        return self.limits.refusal() or never

    def check_limits(self, starts_at: datetime) -> None:
        """Refuse what no page would offer this patient, whoever may be free.

        Raises: NotForThisPatient, TooManyOpenVisits, TooSoonAfterLast; SafetyAnswerMissing.
        """
        on_that_day = [
            self.limits.refusal_on(clock.local_date(starts_at, zone)) for zone in sorted(set(self.zones.values()))
        ]
        refusal = self.refusal() or (on_that_day[0] if all(on_that_day) else None)
        if refusal is not None:
            raise refusal
        self.check_safety()

    def check_safety(self) -> None:
        """Refuse where it must first be checked that this is no emergency.

        Raises: SafetyAnswerMissing.
        """
        safety, texts = self.search.safety, self.limits.rules.emergency_signs
        if self.limits.asks_safety and not (safety and safety.stands(texts, self.now)):
            raise SafetyAnswerMissing

    def safety_kept(self) -> dict[str, Any] | None:
        """The answer to the emergency check as it is kept with a hold or a visit; None where none was asked for."""
        safety = self.search.safety
        return safety.kept(self.limits.rules.emergency_signs) if safety and self.limits.asks_safety else None


def days_between(first: date, last: date) -> Iterator[date]:
    """Each day from the first to the last, both included."""
    return (first + timedelta(days=number) for number in range((last - first).days + 1))


_VISIT_TYPE = select(
    VisitType.id,
    VisitType.start_step_min,
    VisitType.is_active,
    VisitType.who_may_book,
    VisitType.min_age,
    VisitType.max_age,
    VisitType.may_be_acute,
    VisitType.is_sensitive,
    VisitType.modes,
).where(VisitType.id == bindparam("visit_type_id"))
_LOCATIONS = select(Location.id, Location.zone, Location.is_step_free).where(Location.is_active)


def _last_seen(column: Any) -> Any:
    """A column of the newest visit at which the patient was seen."""
    newest = select(column).where(Appointment.patient_id == Patient.id, Appointment.status == Status.FULFILLED)
    # What is offered, and for how long, would tell a proxy of a private one.
    newest = newest.where(or_(bindparam("private_too", type_=Boolean), ~Appointment.is_private))
    return newest.order_by(Appointment.starts_at.desc()).limit(1).scalar_subquery()


# One row, or one for each practitioner with whom there is a standing rule.
_PATIENT = (
    select(
        Patient.birth_on,
        Patient.identity_status,
        _last_seen(Appointment.practitioner_id).label("last_seen_by"),
        _last_seen(Appointment.starts_at).label("last_seen_at"),
        PractitionerPreference.practitioner_id,
        PractitionerPreference.kind,
    )
    .outerjoin(PractitionerPreference, PractitionerPreference.patient_id == Patient.id)
    .where(Patient.id == bindparam("patient_id"))
)
_MOVED = select(Appointment.mode, Appointment.practitioner_id, Appointment.starts_at, Appointment.extra_minutes).where(
    Appointment.id == bindparam("moving_id")
)


def load_terms(session: Session, search: Search, *, as_new: bool = False, keeps_mode: bool = False) -> Terms:
    """Read the clinic's terms for one search: a handful of small queries, none of which grows with history.

    Args: as_new, with nobody in particular: for somebody who was never here. keeps_mode, for visits that are booked:
    their mode stays, though it may not be offered any more.
    Raises: NotFound when the visit type or the place does not exist or is not offered, or the invitation is for
    something else; ModeNotOffered.
    """
    found = catalogue(session)
    now, settings = clock.now(), found.made(settings_in)
    moved = None if search.moving_id is None else run(session, _MOVED, {"moving_id": search.moving_id}).one_or_none()
    search = search if moved is None else replace(search, mode=moved.mode)
    visit_type = next(iter(found.rows(_VISIT_TYPE, visit_type_id=search.visit_type_id)), None)
    if visit_type is None or not visit_type.is_active:
        raise NotFound(N_("This kind of appointment is not offered."))
    if moved is None and not keeps_mode and search.mode not in offered_modes(visit_type.modes, settings):
        raise ModeNotOffered
    grid_min = settings.number("grid_min")
    patient = _patient(session, search)
    familiar, never = _history(patient, settings, now)
    has_been_here = bool(patient and patient[0].last_seen_at) if search.patient_id is not None else not as_new
    rules = rules_of(visit_type, text_in(found, visit_type.id).name, settings)
    limits = _limits(session, search, rules, settings, now, patient)
    zones, extra_cells = _zones(found, search), _extra_cells(search, settings, grid_min, moved)
    doers = doers_of(
        found,
        search.visit_type_id,
        grid_min,
        gender_asked={GENDER_ASKED[need] for need in search.needs if need in GENDER_ASKED},
        is_new=not has_been_here,
        is_online=not search.is_by_clinic,
        is_capped=not (search.beyond_caps and search.is_by_clinic),
    )
    doers = {
        id_: doer._replace(visit_cells=doer.visit_cells + extra_cells)
        for id_, doer in doers.items()
        if id_ not in never
    }
    same_id = same_person(familiar) if moved is None else moved.practitioner_id
    if search.continuity is ContinuityWish.SAME_ONLY:
        doers = {id_: doer for id_, doer in doers.items() if id_ == same_id}
    return Terms(
        search=search,
        now=now,
        grid_min=grid_min,
        step_cells=-(-visit_type.start_step_min // grid_min),
        settings=settings,
        zones=zones,
        doers=doers,
        familiar=familiar,
        has_been_here=has_been_here,
        limits=limits,
        catalogue=found,
        notice=_notice(session, search, limits, settings, now, next(iter(zones.values()))),
        extra_minutes=extra_cells * grid_min,
        same_id=same_id if same_id in doers else None,
        moved_from=None if moved is None else moved.starts_at,
        due=_due(session, search),
    )


def _due(session: Session, search: Search) -> tuple[date, date] | None:
    """The days of the invitation that is used; one that has ended meanwhile limits as before. Raises: NotFound."""
    if search.invitation_id is None:
        return None
    found = session.get(VisitInvitation, search.invitation_id)
    if found is None or (found.patient_id, found.visit_type_id) != (search.patient_id, search.visit_type_id):
        raise NotFound
    return found.due_from, found.due_until


def _extra_cells(search: Search, settings: Settings, grid_min: int, moved: Any | None) -> int:
    """How many cells the patient's needs add to everybody's length; a visit that is moved has no less than before."""
    kept = 0 if moved is None else moved.extra_minutes
    return -(-max(extra_minutes(settings, search.visit_type_id, search.needs), kept) // grid_min)


def _limits(
    session: Session, search: Search, rules: Rules, settings: Settings, now: datetime, patient: Sequence[Any]
) -> Limits:
    if search.patient_id is None or search.is_by_clinic or not patient:
        return Limits(rules)
    last_seen_at = patient[0].last_seen_at
    known_for = timedelta(days=DAYS_A_MONTH * settings.number("existing_within_months", search.visit_type_id))
    person = read_person(
        session,
        search.patient_id,
        patient[0],
        now=now,
        days_back=rules.min_days_since_same,
        is_familiar=last_seen_at is not None and last_seen_at >= now - known_for,
        # A visit does not stand in its own way; and a refusal would tell a proxy of a private one.
        counts=lambda visit: visit.id != search.moving_id and not (visit.is_private and search.by is ActorKind.PROXY),
    )
    if rules.who_may_book is not WhoMayBook.ANYONE:
        person = replace(person, is_invited=is_invited(session, search.patient_id, search.visit_type_id, now))
    needs_referral = rules.who_may_book is WhoMayBook.REFERRED
    referrals = allowances_of(session, search.patient_id, search.visit_type_id) if needs_referral else ()
    return Limits(rules, person, is_move=search.moving_id is not None, referrals=referrals)


_INVITED = (
    select(VisitInvitation.id)
    .where(
        VisitInvitation.patient_id == bindparam("patient_id"),
        VisitInvitation.visit_type_id == bindparam("visit_type_id"),
        VisitInvitation.used_by_appointment_id.is_(None),
        VisitInvitation.withdrawn_at.is_(None),
        VisitInvitation.expires_at > bindparam("now"),
    )
    .limit(1)
)


def is_invited(session: Session, patient_id: int, visit_type_id: int, now: datetime) -> bool:
    """Whether the clinic has asked this patient to book this kind of visit."""
    values = {"patient_id": patient_id, "visit_type_id": visit_type_id, "now": now}
    return run(session, _INVITED, values).first() is not None


def _notice(
    session: Session, search: Search, limits: Limits, settings: Settings, now: datetime, zone: str
) -> timedelta:
    """How long before its start a visit must be booked. Source: clinic.md 10: the desk needs none."""
    if search.is_by_clinic:
        return timedelta(0)
    names = ["remote_notice_min" if search.mode in REMOTE else "minimum_notice_min"]
    if limits.person is not None and not limits.person.is_known:
        names.append("new_patient_notice_min")
    notice = timedelta(minutes=max(settings.number(name, search.visit_type_id) for name in names))
    if not search.needs & INTERPRETED:
        return notice
    working_days = settings.number("interpreter_notice_days", search.visit_type_id)
    return max(notice, notice_for_interpreter(session, now, working_days, zone))


def _zones(found: Catalogue, search: Search) -> dict[int, str]:
    """The zones of the places that will do; by phone or video it is of no importance where the practitioner sits."""
    zones = {
        row.id: row.zone
        for row in found.rows(_LOCATIONS)
        if search.mode in REMOTE
        or (search.location_id in (None, row.id) and (row.is_step_free or Need.STEP_FREE not in search.needs))
    }
    if not zones:
        raise NotFound(N_("No place fits what was asked for."))
    return zones


def _patient(session: Session, search: Search) -> Sequence[Any]:
    """What is known of the patient, once for each standing rule; nothing when nobody in particular is meant."""
    if search.patient_id is None:
        return ()
    private_too = search.by is not ActorKind.PROXY
    return read_once(session, _PATIENT, {"private_too": private_too, "patient_id": search.patient_id})


def _history(patient: Sequence[Any], settings: Settings, now: datetime) -> tuple[dict[int, str], set[int]]:
    """Practitioners the patient knows and why, and those never to be chosen."""
    familiar: dict[int, str] = {}
    never: set[int] = set()
    since = now - timedelta(days=DAYS_A_MONTH * settings.number("continuity_months"))
    for row in patient:
        if row.last_seen_at is not None and row.last_seen_at >= since:
            familiar.setdefault(row.last_seen_by, SEEN_LAST)
        if row.kind == PreferenceKind.NEVER:
            never.add(row.practitioner_id)
        elif row.kind is not None:
            familiar[row.practitioner_id] = USUAL
    return familiar, never


_OWN_VISITS = (
    select(Appointment.id, Appointment.starts_at, Appointment.ends_at)
    .where(
        Appointment.patient_id == bindparam("patient_id"),
        # As the database's own guarantee counts: also a visit that ended early or was missed keeps its patient's time.
        Appointment.status.in_(ACTIVE),
        Appointment.starts_at < bindparam("until"),
        Appointment.starts_at > bindparam("since"),
    )
    .order_by(Appointment.starts_at)
)


def own_visits(session: Session, search: Search, low: datetime, high: datetime) -> list[OwnVisit]:
    """The patient's own visits that meet [low, high), except the one being moved."""
    if search.patient_id is None:
        return []
    # No visit is longer than a day: that bounds the search in the index.
    rows = run(session, _OWN_VISITS, {"patient_id": search.patient_id, "since": low - timedelta(days=1), "until": high})
    return [
        OwnVisit(row.id, row.starts_at, row.ends_at)
        for row in rows
        if row.starts_at is not None and row.ends_at is not None and row.ends_at > low and row.id != search.moving_id
    ]
