"""Practitioners' hours: weekly blocks, time off, extra hours and closures, changed together with what follows.

Whoever changes hours is asked about every visit that would be outside of them. Until each has an answer nothing is
changed; a visit that was booked meanwhile is asked about as well. Source: UC4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, timedelta
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor, ActorKind, record
from clinic_portal.database import take_turns, writing
from clinic_portal.errors import InvalidRequest, NotAllowed, NotFound, VersionConflict, VisitsOutside
from clinic_portal.languages import N_
from clinic_portal.models import (
    AvailabilityException,
    AvailabilityRule,
    Closure,
    Event,
    ExceptionKind,
    ExceptionStatus,
    Location,
    Practitioner,
    PractitionerState,
)
from clinic_portal.notifications.account_outbox import tell_account
from clinic_portal.scheduling import session_rows, stranded, submissions
from clinic_portal.scheduling.blocks import Away, Block, check_overlap, told_of
from clinic_portal.scheduling.hours_changes import EndAway, HoursChange, WeekChange, days_of, to_plain
from clinic_portal.scheduling.request_rows import lock_batch
from clinic_portal.scheduling.running import state_of
from clinic_portal.scheduling.sessions import write_sessions
from clinic_portal.scheduling.stranded import Answer
from clinic_portal.settings import load_settings

DAY = timedelta(days=1)
# Names the turns of those who change hours.
TURNS = 7263012
LONGEST_CLOSURE = timedelta(days=366)
MAX_NAME = 120
Answers = Mapping[int, Answer]
# First and last.
Days = tuple[date, date]
NO_ANSWERS: Answers = {}


@writing
def change_hours(
    db: Session,
    *,
    actor: Actor,
    practitioner_id: int,
    change: HoursChange,
    token: str,
    expected_version: int | None = None,
    answers: Answers = NO_ANSWERS,
) -> Practitioner:
    """Change the hours of a practitioner, and the sessions with them: blocks of the week, time off, or extra hours.

    Args: token, the form's own: the same again changes nothing more. expected_version, of the hours as the form showed
    them. answers, by visit, what to do with those that would be outside of the hours.
    Times: days and minutes on the wall clock of each location.
    Commits: submission, rules and exceptions, sessions, moved and cancelled visits, audit, messages; rings.
    Raises: VisitsOutside with those that have no answer, or none that can be carried out; InvalidRequest naming the
    field, VersionConflict, NotAllowed, NotFound, SubmissionConflict.
    Source: UC4.1-UC4.4.
    """
    body = {"what": "hours", "practitioner": practitioner_id, "change": to_plain(change), "answers": answers}
    submission_id, earlier_id = submissions.begin(db, actor, token, body)
    if earlier_id is not None:
        return db.get_one(Practitioner, earlier_id)
    practitioner = carry_out(db, actor, practitioner_id, change, answers, expected_version)
    submissions.finish(db, submission_id, practitioner_id)
    return practitioner


def carry_out(
    session: Session,
    actor: Actor,
    practitioner_id: int,
    change: HoursChange,
    answers: Answers = NO_ANSWERS,
    expected_version: int | None = None,
) -> Practitioner:
    """As `change_hours`, inside the caller's transaction."""
    practitioner = session.get(Practitioner, practitioner_id)
    if practitioner is None:
        raise NotFound
    may_change(actor, practitioner)

    def changed() -> None:
        session.refresh(practitioner)
        version = hours_version(session, practitioner_id)
        if expected_version not in (None, version):
            raise VersionConflict(version=version)
        write_change(session, actor, practitioner, change)

    _with_all(session, actor, [practitioner_id], answers, changed, days_of(change))
    return practitioner


def write_change(session: Session, actor: Actor, practitioner: Practitioner, change: HoursChange) -> None:
    """Write the rules and exceptions of a change, inside the caller's transaction; the sessions follow elsewhere.

    Raises: InvalidRequest naming the field, NotFound.
    """
    match change:
        case WeekChange():
            _end_rules(session, actor, practitioner, change.ends)
            _add_rules(session, actor, practitioner, change.adds)
        case Away():
            note_away(session, actor, practitioner.id, change)
        case EndAway():
            note_back(session, actor, practitioner.id, change.exception_id)


def note_away(session: Session, actor: Actor, practitioner_id: int, away: Away) -> AvailabilityException:
    """Write time off or extra hours down, inside the caller's transaction; the sessions follow elsewhere.

    Raises: InvalidRequest naming the field.
    """
    away.check(clock.now(), load_settings(session).number("grid_min"))
    if away.kind is ExceptionKind.EXTRA:
        _open_location(session, away.location_id or 0)
    row = AvailabilityException(practitioner_id=practitioner_id, **away.columns())
    session.add(row)
    session.flush()
    record(session, actor, "add_hours", row, after=told_of(row))
    return row


def note_back(session: Session, actor: Actor, practitioner_id: int, exception_id: int) -> AvailabilityException:
    """Take time off or extra hours back, inside the caller's transaction; the sessions follow elsewhere.

    What lies behind stays as it was.

    Raises: NotFound when it is not theirs.
    """
    row = session.get(AvailabilityException, exception_id)
    if row is None or row.practitioner_id != practitioner_id:
        raise NotFound
    before = told_of(row)
    row.status = ExceptionStatus.REFUSED
    session.flush()
    record(session, actor, "end_hours", row, before=before, after=told_of(row))
    return row


@writing
def add_closure(
    db: Session, *, actor: Actor, name: str, first_on: date, last_on: date, location_id: int | None, token: str,
    answers: Answers = NO_ANSWERS,
) -> Closure:  # fmt: skip
    """Close one location, or all, for whole days; nobody works there then.

    Args: name, what the clinic calls it. location_id, None for all locations.
    Commits: submission, the closure, everybody's sessions, moved and cancelled visits, audit, messages; rings.
    Raises: as `change_hours`; NotAllowed for anybody but staff.
    Source: UC4.5.
    """
    _only_staff(actor)
    body = {"what": "closure", "name": name, "from": first_on, "until": last_on, "location": location_id,
            "answers": answers}  # fmt: skip
    submission_id, earlier_id = submissions.begin(db, actor, token, body)
    if earlier_id is not None:
        return db.get_one(Closure, earlier_id)
    closure = Closure(location_id=location_id, first_on=first_on, last_on=last_on, name=_closure_name(name))
    _check_closure(db, closure)
    concerned = _working_at(db, location_id)
    _with_all(db, actor, concerned, answers, lambda: _add_closure(db, actor, closure), (first_on, last_on))
    submissions.finish(db, submission_id, closure.id)
    return closure


@writing
def end_closure(db: Session, *, actor: Actor, closure_id: int) -> None:
    """Open again on days that were to be closed; nothing happens when they are gone already.

    Commits: the closure's end, everybody's sessions, audit; rings.
    Raises: NotAllowed, InvalidRequest when it has begun.
    """
    _only_staff(actor)
    closure = db.get(Closure, closure_id)
    if closure is None:
        return
    if closure.first_on <= _today():
        raise InvalidRequest(N_("This closure has begun: it stays."))

    def carry_out() -> None:
        record(db, actor, "end_closure", closure, before=_closure_told(closure))
        db.delete(closure)
        db.flush()

    days = closure.first_on, closure.last_on
    _with_all(db, actor, _working_at(db, closure.location_id), NO_ANSWERS, carry_out, days)


def _with_all(
    session: Session,
    actor: Actor,
    practitioner_ids: Sequence[int],
    answers: Answers,
    carry_out: Callable[[], None],
    days: Days | None = None,
) -> None:
    """Change hours and bring the sessions of everybody concerned up to date; what that leaves outside is asked about.

    Args: days, the only ones that can differ; None for all.

    # Race: patients and visits are locked before practitioners and sessions, in the order of all services; what is
    # booked meanwhile is found after the sessions are rewritten, since a claim keeps its session until it can be read.
    """
    if answers:
        # Race: two that move visits to each other's doctors would wait for each other until the database ends one.
        # Without answers nothing but the own sessions is locked.
        take_turns(session, TURNS)
    grid_min = load_settings(session).number("grid_min")
    visits = {visit.id: visit for visit in lock_batch(session, answers)}
    for practitioner_id in practitioner_ids:
        session_rows.lock_practitioner(session, practitioner_id)
    before = {id_: stranded.ids_outside(session, id_, grid_min) for id_ in practitioner_ids}
    carry_out()
    outside: dict[int, set[int]] = {}
    for practitioner_id in practitioner_ids:
        rewrite(session, practitioner_id, days)
        stranded.let_go_of_holds_outside(session, practitioner_id, grid_min)
        outside[practitioner_id] = stranded.ids_outside(session, practitioner_id, grid_min) - before[practitioner_id]
        note_change(session, actor, practitioner_id)
    _ask(session, outside, [id_ for ids in outside.values() for id_ in ids if id_ not in answers])
    undone = [
        visit_id
        for practitioner_id, ids in outside.items()
        for visit_id in sorted(ids, key=lambda id_: (visits[id_].starts_at, id_))
        if not stranded.carry_out(session, actor, practitioner_id, visits[visit_id], answers[visit_id])
    ]
    _ask(session, outside, undone)


def _ask(session: Session, outside: Mapping[int, set[int]], unanswered: Sequence[int]) -> None:
    """Refuse until everything has an answer, with all that is outside and what can be done about it."""
    if unanswered:
        found = [
            one for practitioner_id, ids in outside.items() for one in stranded.look_at(session, practitioner_id, ids)
        ]
        raise VisitsOutside(visits=sorted(found, key=lambda one: one.starts_at), unanswered=frozenset(unanswered))


def rewrite(session: Session, practitioner_id: int, days: Days | None) -> None:
    """Bring somebody's sessions in line with their hours, inside the caller's transaction.

    Args: days, the only ones that can differ; None for all.
    """
    today = clock.now().astimezone(UTC).date()
    horizon = today + timedelta(days=load_settings(session).number("sessions_ahead_days"))
    first_day, last_day = today - DAY, max(horizon, session_rows.last_day(session, practitioner_id))
    if days is not None:
        # A block of the evening before, or in a zone far away, may reach into these days.
        first_day, last_day = max(first_day, days[0] - 2 * DAY), min(last_day, days[1] + 2 * DAY)
    if first_day <= last_day:
        write_sessions(session, practitioner_id, first_day, last_day)


def note_change(session: Session, actor: Actor, practitioner_id: int) -> None:
    """Count the change; who did not make it is told."""
    practitioner = session.get_one(Practitioner, practitioner_id)
    state = state_of(session, practitioner_id)
    state.hours_version += 1
    session.flush()
    if practitioner.account_id is not None and practitioner.account_id != actor.account_id:
        tell_account(session, practitioner.account_id, Event.HOURS_CHANGED)


def hours_version(session: Session, practitioner_id: int) -> int:
    """Which state of their hours somebody looks at: the number of changes so far."""
    found = select(PractitionerState.hours_version).where(PractitionerState.practitioner_id == practitioner_id)
    return session.scalar(found) or 0


def may_change(actor: Actor, practitioner: Practitioner) -> None:
    """Refuse whoever neither is the practitioner nor works at the desk. Raises: NotAllowed."""
    own = actor.kind is ActorKind.PRACTITIONER and practitioner.account_id == actor.account_id
    if actor.account_id is None or not (own or actor.kind is ActorKind.STAFF):
        raise NotAllowed


def _only_staff(actor: Actor) -> None:
    if actor.kind is not ActorKind.STAFF:
        raise NotAllowed


def rules_of(session: Session, practitioner_id: int, today: date) -> list[AvailabilityRule]:
    """The weekly blocks that take place today or later, in the order of the week."""
    found = select(AvailabilityRule).where(
        AvailabilityRule.practitioner_id == practitioner_id,
        or_(AvailabilityRule.valid_until.is_(None), AvailabilityRule.valid_until >= today),
        or_(AvailabilityRule.valid_until.is_(None), AvailabilityRule.valid_until >= AvailabilityRule.valid_from),
    )
    order = AvailabilityRule.weekday, AvailabilityRule.starts_min, AvailabilityRule.valid_from, AvailabilityRule.id
    return list(session.scalars(found.order_by(*order)))


def _end_rules(session: Session, actor: Actor, practitioner: Practitioner, ends: Mapping[int, date]) -> None:
    """Let rules end; one that has not begun by then never takes place."""
    known = {rule.id: rule for rule in rules_of(session, practitioner.id, date.min)}
    for rule_id, last_on in sorted(ends.items()):
        rule = known.get(rule_id)
        if rule is None:
            raise NotFound(N_("These hours were changed meanwhile. Look at them again."))
        if last_on < _today() - DAY:
            raise InvalidRequest(N_("Enter a first day that is today or later."), field="valid_from")
        before = told_of(rule)
        rule.valid_until = min(last_on, rule.valid_until or last_on)
        session.flush()
        record(session, actor, "end_hours", rule, before=before, after=told_of(rule))


def _add_rules(session: Session, actor: Actor, practitioner: Practitioner, adds: Sequence[Block]) -> None:
    settings, today = load_settings(session), _today()
    grid_min = settings.number("grid_min")
    for block in adds:
        block.check(today, grid_min)
        _open_location(session, block.location_id)
    zones = {location.id: location.zone for location in session.scalars(select(Location))}
    check_overlap(adds, rules_of(session, practitioner.id, today), zones, today,
                  settings.number("travel_min"))  # fmt: skip
    for block in adds:
        rule = AvailabilityRule(practitioner_id=practitioner.id, **block.columns())
        session.add(rule)
        session.flush()
        record(session, actor, "add_hours", rule, after=told_of(rule))


def _open_location(session: Session, location_id: int) -> None:
    location = session.get(Location, location_id)
    if location is None or not location.is_active:
        raise InvalidRequest(N_("Choose one of the places."), field="location")


def _today() -> date:
    """The earliest day that it is anywhere: west of Greenwich it may still be yesterday."""
    return clock.local_date(clock.now(), "Etc/GMT+12")


def _working_at(session: Session, location_id: int | None) -> list[int]:
    """Everybody who has hours at a location, in order; None for all locations."""
    rules = select(AvailabilityRule.practitioner_id)
    extra = select(AvailabilityException.practitioner_id).where(AvailabilityException.location_id.is_not(None))
    if location_id is not None:
        rules = rules.where(AvailabilityRule.location_id == location_id)
        extra = extra.where(AvailabilityException.location_id == location_id)
    return sorted({*session.scalars(rules), *session.scalars(extra)})


def _closure_name(name: str) -> str:
    cleaned = " ".join(name.split())
    if not cleaned or len(cleaned) > MAX_NAME:
        raise InvalidRequest(N_("Enter a name for it, of at most 120 characters."), field="name")
    return cleaned


def _check_closure(session: Session, closure: Closure) -> None:
    if closure.first_on < _today():
        raise InvalidRequest(N_("Enter a first day that is today or later."), field="first_on")
    if not closure.first_on <= closure.last_on <= closure.first_on + LONGEST_CLOSURE:
        raise InvalidRequest(N_("Enter a last day that is not before the first, within a year."), field="last_on")
    if closure.location_id is not None:
        _open_location(session, closure.location_id)


def _add_closure(session: Session, actor: Actor, closure: Closure) -> None:
    session.add(closure)
    session.flush()
    record(session, actor, "add_closure", closure, after=_closure_told(closure))


def _closure_told(closure: Closure) -> dict[str, Any]:
    return {
        "name": closure.name,
        "location_id": closure.location_id,
        "first_on": closure.first_on.isoformat(),
        "last_on": closure.last_on.isoformat(),
    }
