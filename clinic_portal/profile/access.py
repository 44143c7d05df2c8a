"""Who at the clinic opened whose record: written by the pages that show one patient, read by that patient."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import writing
from clinic_portal.models import AccessEntry, AccessPlace, RoleName
from clinic_portal.scheduling.people import records_of

LONGEST = 200


@writing
def record_opening(session: Session, *, account_id: int, role: RoleName, patient_id: int, place: AccessPlace) -> None:
    """Note that somebody at the clinic opens a patient's record; without the note the page is not shown.

    Commits: one row.
    Source: UC7.7.
    """
    session.add(
        AccessEntry(account_id=account_id, role=role, patient_id=patient_id, place=place, opened_at=clock.now())
    )


def openings_of(session: Session, patient_id: int) -> list[AccessEntry]:
    """The latest openings of a record, newest first."""
    query = select(AccessEntry).where(AccessEntry.patient_id.in_(records_of(patient_id)))
    return list(session.scalars(query.order_by(AccessEntry.opened_at.desc(), AccessEntry.id.desc()).limit(LONGEST)))
