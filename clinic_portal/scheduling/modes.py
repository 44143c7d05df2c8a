"""In person, by phone or by video: which is offered, and what a visit needs so that both sides meet."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from clinic_portal.errors import ModeNotOffered, NumberMissing
from clinic_portal.models import MAX_NUMBER, ContactKind, Mode, Modes
from clinic_portal.profile.values import read_contact
from clinic_portal.settings import ROOM, Settings

# From when on, before the start, the page of a visit by video has the way into its room.
JOIN_BEFORE = timedelta(minutes=15)


def offered_modes(modes: Modes, settings: Settings) -> list[Mode]:
    """Those of a visit type's modes that the clinic can offer, in the order in which they are asked."""
    # Without rooms nobody could meet.
    has_rooms = bool(settings.value("video_rooms"))
    return [mode for mode in Mode if mode in modes and (mode is not Mode.VIDEO or has_rooms)]


def clean_number(text: str | None) -> str | None:
    """The phone number as it is kept with a visit; None when nothing was typed.

    Raises: InvalidRequest when it cannot be one.
    """
    if not (text or "").strip():
        return None
    number = read_contact(ContactKind.MOBILE, text or "")
    if len(number) > MAX_NUMBER:
        raise NumberMissing
    return number


def way_asked(mode: Mode, call_number: str | None) -> dict[str, Any]:
    """The columns of a request that say how both sides will meet; a room is made for the visit itself.

    Raises: NumberMissing for a visit by phone without a number; InvalidRequest for one that is none.
    """
    if mode is not Mode.PHONE:
        return {"mode": mode, "call_number": None}
    number = clean_number(call_number)
    if number is None:
        raise NumberMissing
    return {"mode": mode, "call_number": number}


def way_to_meet(mode: Mode, call_number: str | None, settings: Settings) -> dict[str, Any]:
    """The columns of a new visit that say how both sides meet.

    Raises: as `way_asked`; ModeNotOffered by video where there are no rooms.
    """
    way = way_asked(mode, call_number)
    if mode is Mode.VIDEO:
        if not settings.value("video_rooms"):
            raise ModeNotOffered
        # 96 bits: nobody finds a room by trying names.
        way["join_url"] = settings.value("video_rooms").replace(ROOM, secrets.token_urlsafe(12))
    return way
