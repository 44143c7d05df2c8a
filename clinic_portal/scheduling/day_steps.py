"""What can be noted of a visit as the day runs, step by step, and how each is taken back.

The desk and the doctors press the same steps; which of them a page shows is the page's own.
"""

from __future__ import annotations

import enum
from datetime import datetime

from clinic_portal import clock
from clinic_portal.audit import Actor
from clinic_portal.errors import BadTransition
from clinic_portal.languages import N_
from clinic_portal.models import REMOTE, Appointment, CancelReason, Mode, Origin, Status
from clinic_portal.scheduling.booking import cancel_appointment, change_status
from clinic_portal.scheduling.running import call_in
from clinic_portal.scheduling.walk_ins import take_time_back


class DayStep(enum.StrEnum):
    ARRIVED = "arrived"
    CALLED = "called"
    SEEN = "seen"
    NO_SHOW = "no_show"
    # They came, and went before anybody saw them.
    LEFT = "left"
    # They came so late that they could not be seen.
    TOO_LATE = "too_late"
    UNDO = "undo"


_TO = {
    DayStep.ARRIVED: Status.ARRIVED,
    DayStep.SEEN: Status.FULFILLED,
    DayStep.NO_SHOW: Status.NOSHOW,
    DayStep.TOO_LATE: Status.NOSHOW,
}


def steps_of(visit: Appointment, now: datetime) -> list[DayStep]:
    """What can be noted of a visit now, the likeliest first. What is noted is undone on the same day only.

    Times: days are those of the place.
    """
    at = visit.starts_at or visit.arrived_at
    if at is None or visit.location is None:
        return []
    day, today = (clock.local_date(each, visit.location.zone) for each in (at, now))
    undo = [DayStep.UNDO] if day == today else []
    if visit.status is Status.BOOKED:
        return [] if day > today else _of_booked(visit, now)
    if visit.status is Status.ARRIVED:
        return [*_of_arrived(visit), *undo]
    return undo if visit.status in (Status.FULFILLED, Status.NOSHOW) else []


def has_left(visit: Appointment) -> bool:
    """Whether the patient came, and went without being seen."""
    return visit.status is Status.CANCELLED and visit.cancel_reason is CancelReason.LEFT_WITHOUT_BEING_SEEN


def _of_booked(visit: Appointment, now: datetime) -> list[DayStep]:
    has_begun = visit.starts_at is not None and visit.starts_at <= now
    if visit.mode in REMOTE:
        return [DayStep.SEEN, *([DayStep.NO_SHOW] if has_begun else [])]
    came_late = [DayStep.TOO_LATE] if visit.mode is Mode.IN_PERSON else []
    return [DayStep.ARRIVED, *([DayStep.NO_SHOW, *came_late] if has_begun else [])]


def _of_arrived(visit: Appointment) -> list[DayStep]:
    if visit.called_at is not None:
        return [DayStep.SEEN]
    # Who walked in is called by somebody: that is asked on a page of its own.
    with_somebody = [DayStep.CALLED, DayStep.SEEN] if visit.practitioner_id is not None else []
    return [*with_somebody, DayStep.LEFT]


def take_step(
    *, actor: Actor, visit: Appointment, step: DayStep, token: str, expected_version: int | None = None
) -> Appointment:
    """Note a step of a visit.

    Args: visit, as it was read for the page; token, the form's own.
    Commits: as the service of the step.
    Raises: BadTransition when it cannot be noted now, NotAllowed, VersionConflict, NotFound, SubmissionConflict.
    """
    if step not in steps_of(visit, clock.now()):
        raise BadTransition(N_("This cannot be noted of the visit as it stands."), current=visit.status.value)
    if step is DayStep.UNDO:
        return _undo(actor, visit, expected_version)
    if step is DayStep.CALLED:
        return call_in(actor=actor, appointment_id=visit.id, expected_version=expected_version)
    if step is DayStep.LEFT:
        reason = CancelReason.LEFT_WITHOUT_BEING_SEEN
        return cancel_appointment(actor=actor, appointment_id=visit.id, token=token, reason=reason,
                                  expected_version=expected_version)  # fmt: skip
    return change_status(actor=actor, appointment_id=visit.id, to=_TO[step], expected_version=expected_version,
                         came_too_late=step is DayStep.TOO_LATE)  # fmt: skip


def _undo(actor: Actor, visit: Appointment, version: int | None) -> Appointment:
    if visit.status is Status.ARRIVED and visit.called_at is not None:
        return call_in(actor=actor, appointment_id=visit.id, is_in=False, expected_version=version)
    if visit.status is Status.ARRIVED and visit.origin is Origin.WALK_IN and visit.starts_at is not None:
        return take_time_back(actor=actor, appointment_id=visit.id, expected_version=version)
    return change_status(actor=actor, appointment_id=visit.id, to=_before(visit), expected_version=version)


def _before(visit: Appointment) -> Status:
    """Where a visit was before its last step."""
    if visit.status is Status.FULFILLED:
        return Status.ARRIVED
    # Who walked in has no appointment to go back to: then it was a mistake.
    return Status.ENTERED_IN_ERROR if visit.origin is Origin.WALK_IN else Status.BOOKED
