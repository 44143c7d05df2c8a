"""How mails and calendars tell in which way somebody is seen: at the clinic, by phone or by video."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict

from clinic_portal import clock, wording
from clinic_portal.languages import N_, _
from clinic_portal.models import Mode, Recipient
from clinic_portal.notifications.calendar import Place, place_told
from clinic_portal.notifications.letters import Letter

# All that a calendar may know: a number or a link would be read by whoever shares it.
IN_CALENDAR = {Mode.PHONE: N_("By phone"), Mode.VIDEO: N_("By video")}


class Span(TypedDict):
    """From when until when a calendar keeps a visit."""

    starts_at: datetime
    ends_at: datetime | None


def span_told(starts_at: datetime, ends_at: datetime | None, zone: str, window_min: int) -> Span:
    """The visit itself, or the stretch of the day that its patient was told."""
    if not window_min or ends_at is None:
        return Span(starts_at=starts_at, ends_at=ends_at)
    low, high = clock.window_around(starts_at, zone, window_min)
    return Span(starts_at=low, ends_at=high)


def place_in_calendar(mode: Mode, clinic_name: str, place: Place | None) -> str:
    """Where, as a patient's calendar may say it.

    Args: place, None where it would tell what the visit is about.
    """
    return _(IN_CALENDAR[mode]) if mode in IN_CALENDAR else place_told(clinic_name, place)


def how_met(letter: Letter) -> dict[str, str | None]:
    """What a mail says of a visit for which the patient goes nowhere, and the way into its video room.

    Who has the link can come in, so it is left out of mails about sensitive visits.
    """
    meeting = letter.meeting
    if letter.recipient != Recipient.PATIENT or meeting.mode not in IN_CALENDAR:
        return {"how": None, "join_url": None}
    is_link_told = meeting.mode is Mode.VIDEO and not letter.is_sensitive
    how = way_told(meeting.mode, meeting.call_number)
    return {"how": how, "join_url": meeting.join_url if is_link_told else None}


def way_told(mode: Mode | None, call_number: str | None) -> str | None:
    """How somebody is seen who goes nowhere, with so much of the number as tells which one it is."""
    if mode is Mode.VIDEO:
        return _("By video")
    if mode is not Mode.PHONE:
        return None
    return _("By phone: we will call %(number)s.", number=wording.masked_number(call_number or ""))
