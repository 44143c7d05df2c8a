"""Open invitations as the people at the clinic see them, before they lapse. Reads only."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session, joinedload

from clinic_portal import clock
from clinic_portal.models import VisitInvitation
from clinic_portal.scheduling.invitations import IS_UNUSED

LAPSES_SOON = timedelta(days=7)
MOST_SHOWN = 500


def invitations_by(session: Session, made_by: int | None = None) -> list[VisitInvitation]:
    """Everybody's open invitations, or those that one account has made; whichever lapses first comes first.

    Source: UC1.9: unused invitations are visible before they lapse.
    """
    found = select(VisitInvitation).where(IS_UNUSED, VisitInvitation.expires_at > clock.now()).limit(MOST_SHOWN)
    if made_by is not None:
        found = found.where(VisitInvitation.made_by_account_id == made_by)
    who = (
        joinedload(VisitInvitation.patient),
        joinedload(VisitInvitation.visit_type),
        joinedload(VisitInvitation.made_by),
    )
    return list(session.scalars(found.options(*who).order_by(VisitInvitation.expires_at, VisitInvitation.id)))


def lapses_soon(invitation: VisitInvitation, now: datetime) -> bool:
    """Whether an open invitation has only some days left."""
    return invitation.expires_at <= now + LAPSES_SOON


def count_lapsing(session: Session) -> int:
    """How many open invitations lapse soon."""
    now = clock.now()
    ends = and_(VisitInvitation.expires_at > now, VisitInvitation.expires_at <= now + LAPSES_SOON)
    return session.scalar(select(func.count()).select_from(VisitInvitation).where(IS_UNUSED, ends)) or 0
