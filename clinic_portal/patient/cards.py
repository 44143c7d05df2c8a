"""A visit as its patient reads it: plain values, nothing of how the clinic works inside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from clinic_portal import clock
from clinic_portal.accounts import rights_of
from clinic_portal.database import db
from clinic_portal.languages import _
from clinic_portal.models import REMOTE, Account, Appointment, Location, Mode, Need, Relation, Status
from clinic_portal.patient.words import NEED_WORDS
from clinic_portal.place_texts import place_text_of
from clinic_portal.scheduling.modes import JOIN_BEFORE
from clinic_portal.settings import Settings, load_settings
from clinic_portal.visit_texts import text_of
from clinic_portal.wording import when_told


@dataclass(frozen=True)
class Place:
    """Where it is, and how one gets in."""

    name: str
    address: str
    entrance: str
    parking: str
    is_step_free: bool


@dataclass(frozen=True)
class Card:
    """One visit on a page."""

    public_id: str
    reference: str
    status: str
    # Day and time as the patient reads them.
    when: str
    starts_at: datetime
    zone: str
    duration_min: int
    visit_name: str
    how_to_prepare: str
    what_to_bring: str
    mode: str
    # None where nobody has to go anywhere.
    place: Place | None
    # The number that is called, and the way into the video room while it is open.
    call_number: str | None
    join_url: str | None
    with_whom: str
    for_whom: str | None
    needs: list[str]
    extra_min: int
    arrive_at: datetime | None
    can_move: bool
    can_cancel: bool
    is_late: bool
    # Within how many hours of the start a cancel counts as late.
    late_hours: int


def card_of(visit: Appointment, for_whom: str | None = None, settings: Settings | None = None) -> Card:
    """Make a visit with a time ready to be shown."""
    assert visit.starts_at is not None
    assert visit.ends_at is not None
    assert visit.location is not None
    settings = settings or load_settings(db.session())
    text = text_of(db.session(), visit.visit_type_id)
    left, late_min = visit.starts_at - clock.now(), settings.number("late_cancel_min", visit.visit_type_id)
    is_ahead = visit.status == Status.BOOKED and left > timedelta(0)
    early = timedelta(minutes=visit.visit_type.arrive_early_min)
    needs = [_(NEED_WORDS[Need(need)]) for need in visit.wishes.get("needs", [])]
    return Card(
        public_id=visit.public_id,
        reference=visit.reference,
        status=visit.status.value,
        when=when_told(visit.starts_at, visit.location.zone, visit.shown_window_min),
        starts_at=visit.starts_at,
        zone=visit.location.zone,
        duration_min=int((visit.ends_at - visit.starts_at).total_seconds()) // 60,
        visit_name=text.name,
        how_to_prepare=text.how_to_prepare,
        what_to_bring=text.what_to_bring,
        mode=visit.mode.value,
        place=place_of(visit.location) if visit.mode not in REMOTE else None,
        call_number=visit.call_number,
        join_url=visit.join_url if _is_room_open(visit) else None,
        with_whom=visit.practitioner.name if visit.practitioner else "",
        for_whom=for_whom,
        needs=needs,
        extra_min=visit.extra_minutes,
        arrive_at=visit.starts_at - early if is_ahead and visit.mode == Mode.IN_PERSON else None,
        can_move=is_ahead and left >= timedelta(minutes=settings.number("move_cutoff_min", visit.visit_type_id)),
        can_cancel=is_ahead,
        is_late=left < timedelta(minutes=late_min),
        late_hours=-(-late_min // 60),
    )


def _is_room_open(visit: Appointment) -> bool:
    """Whether the way into a video room is shown: shortly before the start, and until the end."""
    if visit.starts_at is None or visit.ends_at is None or visit.status not in (Status.BOOKED, Status.ARRIVED):
        return False
    return visit.starts_at - JOIN_BEFORE <= clock.now() < visit.ends_at


def place_of(location: Location) -> Place:
    """A place as a page tells it."""
    text = place_text_of(db.session(), location.id)
    return Place(location.name, location.address, text.entrance_note, text.parking_note, location.is_step_free)


def names_of(account: Account) -> dict[int, str | None]:
    """For each patient of an account the name to show, or None for its own person."""
    return {
        right.patient_id: None if right.relation == Relation.SELF else right.patient.called_name
        for right in rights_of(account)
    }
