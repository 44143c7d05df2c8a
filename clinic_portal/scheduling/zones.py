"""On whose clock the days of somebody, and of the whole clinic, are."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal.models import AvailabilityRule, Location

_FIRST_PLACE = select(Location.zone).order_by(Location.id).limit(1)


def clinic_zone(session: Session) -> str:
    """The zone of the clinic's first place."""
    return session.scalar(_FIRST_PLACE) or "UTC"


def home_zone(session: Session, practitioner_id: int) -> str:
    """The zone of somebody's first block of hours, else the clinic's."""
    first_block = (
        select(Location.zone)
        .join(AvailabilityRule, AvailabilityRule.location_id == Location.id)
        .where(AvailabilityRule.practitioner_id == practitioner_id)
        .order_by(AvailabilityRule.id)
        .limit(1)
    )
    return session.scalar(first_block) or clinic_zone(session)
