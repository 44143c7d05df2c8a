"""While the answers are checked: what was written is kept, and an answer is changed without losing the time."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor
from clinic_portal.database import writing
from clinic_portal.errors import NotFound, NumberMissing, SlotTaken
from clinic_portal.models import Hold, HoldKind
from clinic_portal.scheduling.holds import make_hold
from clinic_portal.scheduling.modes import clean_number
from clinic_portal.scheduling.notes import allowed_note, clean_note
from clinic_portal.scheduling.search import Search


@writing
def change_answers(db: Session, *, actor: Actor, hold_id: int, search: Search) -> Hold:
    """Keep the same time for other answers, until when it was kept before; what was written goes along.

    Commits: a new hold in the place of the old one.
    Raises: SlotTaken when the time is no longer kept, or cannot be had with these answers; and as `hold_slot`.
    """
    hold = _own(db, actor, hold_id)
    if not hold.is_live(clock.now()):
        raise SlotTaken
    is_same_person = hold.patient_id == search.patient_id
    is_same_kind = is_same_person and hold.visit_type_id == search.visit_type_id
    return make_hold(
        db,
        actor,
        search,
        hold.starts_at,
        HoldKind.PATIENT_CHECKOUT,
        # Written about another kind of visit, or of somebody else: not to be carried over unseen.
        note=hold.note if is_same_kind else None,
        call_number=hold.call_number if is_same_person else None,
        is_private=hold.is_private if is_same_kind else None,
        until=hold.expires_at,
    )


@writing
def keep_written(db: Session, *, actor: Actor, hold_id: int, note: str | None, is_private: bool | None = None) -> None:
    """Keep what somebody has written and said so far with the time that is kept.

    Args: note and is_private, None where nobody was asked.
    Commits: both; nothing when the time is no longer kept.
    Raises: NoteRefused, NotFound.
    """
    hold = _own(db, actor, hold_id)
    if hold.closed_at is None:
        hold.note = allowed_note(clean_note(note), is_sensitive=hold.visit_type.is_sensitive)
        hold.is_private = is_private


@writing
def keep_number(db: Session, *, actor: Actor, hold_id: int, number: str) -> None:
    """Keep the number to call with the time that is kept.

    Commits: the number; nothing when the time is no longer kept.
    Raises: NumberMissing when nothing was typed, InvalidRequest, NotFound.
    """
    hold, cleaned = _own(db, actor, hold_id), clean_number(number)
    if cleaned is None:
        raise NumberMissing
    if hold.closed_at is None:
        hold.call_number = cleaned


def _own(session: Session, actor: Actor, hold_id: int) -> Hold:
    hold = session.scalar(
        select(Hold).where(Hold.id == hold_id).with_for_update().execution_options(populate_existing=True)
    )
    if hold is None or hold.account_id != actor.account_id:
        raise NotFound
    return hold
