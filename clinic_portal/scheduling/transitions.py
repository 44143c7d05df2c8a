"""The life of a visit as data: which status may follow which, and who may make it so.

Source: FHIR R4 AppointmentStatus; UC7.8 (no job ever marks a no-show).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from clinic_portal.audit import Actor, ActorKind
from clinic_portal.errors import BadTransition, NotAllowed
from clinic_portal.models import Status


class Who(enum.Enum):
    """Who may take a step: anybody with a right to the visit, the clinic with its jobs, or only a person there."""

    ANYBODY = "anybody"
    CLINIC = "clinic"
    PERSON = "person"


@dataclass(frozen=True)
class Step:
    """One allowed step; `is_undo` takes back an earlier one, and the audit log says so."""

    who: Who
    is_undo: bool = False


_ANYBODY, _CLINIC, _PERSON = Step(Who.ANYBODY), Step(Who.CLINIC), Step(Who.PERSON)
_UNDO = Step(Who.PERSON, is_undo=True)

TRANSITIONS: dict[tuple[Status, Status], Step] = {
    (Status.PROPOSED, Status.PENDING): _CLINIC,
    # By a patient: with a time that was chosen meanwhile.
    (Status.PROPOSED, Status.BOOKED): _ANYBODY,
    (Status.PROPOSED, Status.WAITLIST): _CLINIC,
    (Status.PROPOSED, Status.CANCELLED): _ANYBODY,
    (Status.PROPOSED, Status.ARRIVED): _PERSON,
    (Status.PENDING, Status.BOOKED): _ANYBODY,
    (Status.PENDING, Status.PROPOSED): _CLINIC,
    (Status.PENDING, Status.WAITLIST): _CLINIC,
    (Status.PENDING, Status.CANCELLED): _ANYBODY,
    (Status.WAITLIST, Status.PENDING): _CLINIC,
    (Status.WAITLIST, Status.BOOKED): _ANYBODY,
    (Status.WAITLIST, Status.CANCELLED): _ANYBODY,
    (Status.BOOKED, Status.BOOKED): _ANYBODY,
    (Status.BOOKED, Status.ARRIVED): _PERSON,
    (Status.BOOKED, Status.FULFILLED): _PERSON,
    (Status.BOOKED, Status.NOSHOW): _PERSON,
    (Status.BOOKED, Status.CANCELLED): _ANYBODY,
    (Status.ARRIVED, Status.FULFILLED): _PERSON,
    (Status.ARRIVED, Status.CANCELLED): _PERSON,
    (Status.ARRIVED, Status.NOSHOW): _UNDO,
    (Status.ARRIVED, Status.BOOKED): _UNDO,
    (Status.NOSHOW, Status.BOOKED): _UNDO,
    (Status.NOSHOW, Status.ARRIVED): _PERSON,
    (Status.NOSHOW, Status.FULFILLED): _PERSON,
    (Status.FULFILLED, Status.ARRIVED): _UNDO,
    **{(status, Status.ENTERED_IN_ERROR): _PERSON for status in Status if status != Status.ENTERED_IN_ERROR},
}


def check_step(actor: Actor, current: Status, to: Status) -> Step:
    """Refuse a step that the table does not have, or has not for this actor.

    Raises: BadTransition and NotAllowed, both naming the current status.
    """
    step = TRANSITIONS.get((current, to))
    if step is None:
        raise BadTransition(current=current.value, to=to.value)
    if step.who is not Who.ANYBODY and not actor.is_clinic:
        raise NotAllowed(current=current.value, to=to.value)
    if step.who is Who.PERSON and actor.kind is ActorKind.SYSTEM:
        raise NotAllowed(current=current.value, to=to.value)
    return step
