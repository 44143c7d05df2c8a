"""Turns: who does a periodic duty, and when it was last done, kept as one row per duty in the database.

A turn saves work, it does not protect it: every duty is safe to run twice. So a clock that is a few seconds off between
hosts does no harm, and a turn whose holder died is simply taken by the next who looks.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from sqlalchemy import bindparam, or_, select, text, update
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import run, writing
from clinic_portal.models import Lease, UTCDateTime

_FIRST_TIME = text(
    "INSERT INTO leases (name, holder, expires_at) VALUES (:name, '', :at) ON CONFLICT (name) DO NOTHING"
).bindparams(bindparam("at", type_=UTCDateTime))


def done_times(session: Session) -> dict[str, datetime]:
    """When each duty was last done; those that never were are missing."""
    rows = session.execute(select(Lease.name, Lease.done_at).where(Lease.done_at.is_not(None)))
    return {name: done_at for name, done_at in rows if done_at is not None}


@writing
def take_turn(session: Session, name: str, *, due_before: datetime, lease: timedelta) -> str | None:
    """Take the turn at a duty; None when somebody has it now, or it was done at `due_before` or later.

    Commits: the lease. Returns the word that `end_turn` asks for.
    """
    now, holder = clock.now(), secrets.token_urlsafe(12)
    run(session, _FIRST_TIME, {"name": name, "at": now})
    # Race: of several who look at once, the one whose update finds the row still free has it.
    is_free = (Lease.expires_at <= now, or_(Lease.done_at.is_(None), Lease.done_at < due_before))
    take = update(Lease).where(Lease.name == name, *is_free).values(holder=holder, expires_at=now + lease)
    return holder if run(session, take).rowcount == 1 else None


@writing
def end_turn(session: Session, name: str, holder: str) -> None:
    """Note that a duty was done. One that fails is not ended: the next turn comes when its lease has run out.

    Commits: the time, and that the turn is free.
    """
    now = clock.now()
    run(session, update(Lease).where(Lease.name == name, Lease.holder == holder).values(done_at=now, expires_at=now))
