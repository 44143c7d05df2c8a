"""Who does a kind of visit, how long it takes with each of them, and within which limits of their own."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import bindparam, select

from clinic_portal.catalogue import Catalogue
from clinic_portal.models import Gender, Practitioner, PractitionerVisitType


class Doer(NamedTuple):
    """A practitioner who does this visit type for this patient; lengths in cells."""

    practitioner_id: int
    visit_cells: int
    before_cells: int
    after_cells: int
    # No visit with them may start before so many minutes have passed.
    notice_min: int = 0
    # How many visits of any kind, and of this one, they have on one day at most.
    most_a_day: int | None = None
    most_of_type: int | None = None

    @property
    def blocked_cells(self) -> int:
        return self.before_cells + self.visit_cells + self.after_cells

    @property
    def is_capped(self) -> bool:
        return self.most_a_day is not None or self.most_of_type is not None


_DOERS = (
    select(
        PractitionerVisitType.practitioner_id,
        PractitionerVisitType.duration_min,
        PractitionerVisitType.duration_new_patient_min,
        PractitionerVisitType.buffer_before_min,
        PractitionerVisitType.buffer_after_min,
        PractitionerVisitType.max_a_day,
        Practitioner.gender,
        Practitioner.notice_min,
        Practitioner.max_visits_a_day,
    )
    .join(Practitioner, Practitioner.id == PractitionerVisitType.practitioner_id)
    .where(
        PractitionerVisitType.visit_type_id == bindparam("visit_type_id"),
        PractitionerVisitType.is_active,
        Practitioner.is_active,
    )
)


def doers_of(
    found: Catalogue,
    visit_type_id: int,
    grid_min: int,
    *,
    gender_asked: Collection[Gender],
    is_new: bool,
    is_online: bool,
    is_capped: bool,
) -> dict[int, Doer]:
    """Those who do such visits, by id.

    Args: gender_asked, empty for any; is_new, for a patient who was never here; is_online, whether a practitioner's
    own notice counts, and is_capped, whether their limits of a day do.
    """
    doers = {}
    for row in found.rows(_DOERS, visit_type_id=visit_type_id):
        if gender_asked and row.gender not in gender_asked:
            continue
        visit, before, after = (
            # Whole cells that cover the minutes.
            -(-minutes // grid_min)
            for minutes in (
                row.duration_new_patient_min if is_new else row.duration_min,
                row.buffer_before_min,
                row.buffer_after_min,
            )
        )
        doers[row.practitioner_id] = Doer(
            row.practitioner_id,
            visit,
            before,
            after,
            notice_min=(row.notice_min or 0) if is_online else 0,
            most_a_day=row.max_visits_a_day if is_capped else None,
            most_of_type=row.max_a_day if is_capped else None,
        )
    return doers
