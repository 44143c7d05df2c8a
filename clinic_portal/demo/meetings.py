"""How the people of the demo clinic are seen: mostly at the clinic, some by phone or video."""

from __future__ import annotations

import random
from typing import Any

from clinic_portal.demo import rota
from clinic_portal.demo.chance import public_id
from clinic_portal.demo.people import Person
from clinic_portal.models import ClinicSession, ContactKind, Mode, VisitType
from clinic_portal.settings import BY_NAME, ROOM

# Of ten people who have the choice, so many do not come in person.
REMOTE_OF_TEN = 2


def meeting_of(rng: random.Random, person: Person, work: ClinicSession, visit_type: VisitType) -> dict[str, Any] | None:
    """The columns of a visit that say how both sides meet; None when this person could not be seen in that session."""
    possible = [mode for mode in Mode if mode in visit_type.modes & work.modes]
    number = next((point.value for point in person.patient.contact_points if point.kind in
                   (ContactKind.MOBILE, ContactKind.LANDLINE)), None)  # fmt: skip
    if number is None:
        possible = [mode for mode in possible if mode is not Mode.PHONE]
    if not possible:
        return None
    mode = rng.choice(possible) if rng.randrange(10) < REMOTE_OF_TEN else possible[0]
    if mode is Mode.PHONE:
        return {"mode": mode, "call_number": number, "shown_window_min": BY_NAME["shown_window_min"].default}
    if mode is Mode.VIDEO:
        return {"mode": mode, "join_url": rota.CLINIC_SETTINGS["video_rooms"].replace(ROOM, public_id(rng))}
    return {"mode": mode}
