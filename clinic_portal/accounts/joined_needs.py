"""Needs go over when one record of a person gives way to another."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.models import Need, PatientNeed

# Who asked for one of these did not ask for the other.
EXCLUDE = {Need.FEMALE_CLINICIAN: Need.MALE_CLINICIAN, Need.MALE_CLINICIAN: Need.FEMALE_CLINICIAN}


def move_needs(session: Session, loser_id: int, winner_id: int) -> None:
    """Give all needs of one record to another, inside the caller's transaction; what that one has of its own stands.

    Of two live needs that are the same, or exclude each other, that of the losing record ends.
    """
    kept = set(session.scalars(select(PatientNeed.kind).filter_by(patient_id=winner_id, ended_at=None)))
    for need in session.scalars(select(PatientNeed).filter_by(patient_id=loser_id)):
        if need.ended_at is None and {need.kind, EXCLUDE.get(need.kind)} & kept:
            need.ended_at = clock.now()
        need.patient_id = winner_id
