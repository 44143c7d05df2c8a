"""A booked visit takes longer from where it is, where its patient needs more time and what follows is free."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor, ActorKind, record
from clinic_portal.errors import NotFound
from clinic_portal.models import Appointment, Need, columns_of
from clinic_portal.notifications import outbox
from clinic_portal.notifications.request_outbox import wake_queue
from clinic_portal.scheduling import masks
from clinic_portal.scheduling.claims import Piece, claim, close_dead_holds, piece_of
from clinic_portal.scheduling.needs import extra_minutes, tell_interpreter
from clinic_portal.scheduling.request_rows import withdraw_offers
from clinic_portal.scheduling.search import Search, Terms, load_terms, own_visits
from clinic_portal.scheduling.times import WorkStretch, read_stretches
from clinic_portal.scheduling.visits import TOLD
from clinic_portal.settings import load_settings


def missing_minutes(session: Session, visit: Appointment, needs: Collection[Need]) -> int:
    """How much longer a visit would have to be with these needs, in whole cells of the grid; 0 when it is long enough.

    Source: clinic.md A9, A17.
    """
    settings = load_settings(session)
    grid_min = settings.number("grid_min")
    wanted = -(-extra_minutes(settings, visit.visit_type_id, needs) // grid_min) * grid_min
    return max(wanted - visit.extra_minutes, 0)


def lengthen(session: Session, actor: Actor, visit: Appointment, minutes: int) -> bool:
    """Let a visit end later, if that time is free, inside the caller's transaction; says whether it does now.

    The visit and its patient must be locked. Everybody concerned is told of the new end.

    Args: minutes, whole cells of the grid.
    Rings: deliver_notifications and drain_requests, after the caller's commit.
    """
    assert visit.ends_at is not None
    assert visit.blocked_until is not None
    more = timedelta(minutes=minutes)
    if not _take_what_follows(session, visit, visit.ends_at + more, visit.blocked_until + more):
        return False
    # What is kept or offered to move it to is as short as it was.
    withdraw_offers(session, visit, clock.now())
    before = columns_of(visit, TOLD)
    visit.ends_at, visit.blocked_until = visit.ends_at + more, visit.blocked_until + more
    visit.extra_minutes += minutes
    visit.version, visit.sequence = visit.version + 1, visit.sequence + 1
    session.flush()
    record(session, actor, "lengthen", visit, before=before, after=columns_of(visit, TOLD), patient_id=visit.patient_id)
    tell_interpreter(session, visit)
    outbox.tell_lengthened(session, visit)
    wake_queue()
    return True


def _take_what_follows(session: Session, visit: Appointment, ends_at: datetime, blocked_until: datetime) -> bool:
    """Claim the cells after a visit, as they could be booked by anybody; False when they cannot.

    # Race: what was read may be somebody else's by now; the condition in the claim decides.
    """
    assert visit.ends_at is not None
    assert visit.blocked_until is not None
    search = Search(visit.visit_type_id, visit.patient_id, by=ActorKind.STAFF, moving_id=visit.id)
    # A squeeze-in has a lane of its own, with nothing behind it.
    if visit.lane or own_visits(session, search, visit.ends_at, ends_at):
        return False
    try:
        terms = load_terms(session, search)
    except NotFound:
        # The clinic does not offer such visits any more.
        return False
    piece = piece_of(visit.blocked_until, blocked_until, terms.grid_min)
    stretch = _free_stretch(session, terms, visit, piece)
    if stretch is None:
        return False
    now, cells = terms.now, stretch.cells
    if masks.covered(cells.first_cell, cells.cell_count, *piece) & ~cells.free:
        close_dead_holds(session, stretch.practitioner_id, visit.blocked_until, blocked_until, now, terms.grid_min)
    return claim(session, stretch.parts, [piece])


def _free_stretch(session: Session, terms: Terms, visit: Appointment, piece: Piece) -> WorkStretch | None:
    """The hours of the visit's own practitioner at its own place that have a piece free, if there are any."""
    for stretch in read_stretches(session, terms, *piece):
        wanted = masks.covered(stretch.cells.first_cell, stretch.cells.cell_count, *piece)
        is_same = (stretch.practitioner_id, stretch.location_id) == (visit.practitioner_id, visit.location_id)
        if is_same and wanted.bit_count() == piece[1] - piece[0] and not wanted & ~stretch.usable:
            return stretch
    return None
