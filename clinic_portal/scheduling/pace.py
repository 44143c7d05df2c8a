"""How full somebody's days may get: visits a day, breaks to catch up, and how long before a visit must be booked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal.audit import Actor, record
from clinic_portal.errors import InvalidRequest
from clinic_portal.languages import N_
from clinic_portal.models import Practitioner, PractitionerVisitType
from clinic_portal.notifications.request_outbox import wake_queue
from clinic_portal.scheduling import claims
from clinic_portal.settings import load_settings

MOST_VISITS = 200
LONGEST_NOTICE_MIN = 30 * 24 * 60
LONGEST_BREAK_MIN = 120
LONGEST_WORK_MIN = 12 * 60


@dataclass(frozen=True)
class Pace:
    """A practitioner's own limits; None wherever they have none.

    `by_type` has the limits of single visit types; of one that is not named none is left.
    """

    most_a_day: int | None = None
    by_type: Mapping[int, int] = field(default_factory=dict)
    break_min: int | None = None
    break_after_min: int | None = None
    notice_min: int | None = None

    def plain(self) -> dict[str, Any]:
        """As plain values."""
        by_type = {str(type_id): most for type_id, most in sorted(self.by_type.items())}
        return {"most_a_day": self.most_a_day, "by_type": by_type, "break_min": self.break_min,
                "break_after_min": self.break_after_min, "notice_min": self.notice_min}  # fmt: skip

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> Pace:
        """What was written down so."""
        return cls(
            values["most_a_day"],
            {int(type_id): most for type_id, most in values["by_type"].items()},
            values["break_min"],
            values["break_after_min"],
            values["notice_min"],
        )

    def check(self, grid_min: int) -> None:
        """Refuse what cannot be meant. Raises: InvalidRequest naming the field."""
        for name, most in (("most_a_day", self.most_a_day), *((f"type-{id_}", n) for id_, n in self.by_type.items())):
            if most is not None and not 0 <= most <= MOST_VISITS:
                raise InvalidRequest(N_("Enter a number from 0 to 200."), field=name)
        if (self.break_min is None) != (self.break_after_min is None):
            missing = "break_min" if self.break_min is None else "break_after_min"
            raise InvalidRequest(N_("Enter both: how long the break is, and after how much work."), field=missing)
        for name, minutes, longest in (
            ("break_min", self.break_min, LONGEST_BREAK_MIN),
            ("break_after_min", self.break_after_min, LONGEST_WORK_MIN),
        ):
            if minutes is not None and not (grid_min <= minutes <= longest and minutes % grid_min == 0):
                text = N_("Enter minutes that can be divided by %(grid)s, from %(grid)s to %(longest)s.")
                raise InvalidRequest(text, field=name, grid=grid_min, longest=longest)
        if self.notice_min is not None and not 0 <= self.notice_min <= LONGEST_NOTICE_MIN:
            raise InvalidRequest(N_("Enter a number of hours from 0 to 720."), field="notice_h")


def pace_of(session: Session, practitioner_id: int) -> Pace:
    """The limits of a practitioner as they are."""
    row = session.get_one(Practitioner, practitioner_id)
    types = session.scalars(_TYPES.where(PractitionerVisitType.practitioner_id == practitioner_id))
    by_type = {each.visit_type_id: each.max_a_day for each in types if each.max_a_day is not None}
    return Pace(row.max_visits_a_day, by_type, row.break_min, row.break_after_min, row.notice_min)


_TYPES = select(PractitionerVisitType).order_by(PractitionerVisitType.visit_type_id)


def write_pace(session: Session, actor: Actor, practitioner: Practitioner, pace: Pace) -> None:
    """Write somebody's limits, inside the caller's transaction; their sessions follow elsewhere.

    What is booked beyond a new limit stays. Whoever waits is tried again: there may be room now.

    Raises: InvalidRequest naming the field.
    """
    pace.check(load_settings(session).number("grid_min"))
    types = session.scalars(_TYPES.where(PractitionerVisitType.practitioner_id == practitioner.id)).all()
    if not {each.visit_type_id for each in types} >= pace.by_type.keys():
        raise InvalidRequest(N_("These visit types were changed meanwhile. Go back and look at them as they are now."))
    before = pace_of(session, practitioner.id).plain()
    practitioner.max_visits_a_day, practitioner.notice_min = pace.most_a_day, pace.notice_min
    practitioner.break_min, practitioner.break_after_min = pace.break_min, pace.break_after_min
    for each in types:
        each.max_a_day = pace.by_type.get(each.visit_type_id)
    session.flush()
    record(session, actor, "change_pace", practitioner, before=before, after=pace.plain())
    claims.open_to_waiting(session, practitioner.id)
    wake_queue()
