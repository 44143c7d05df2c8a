"""The times that somebody at the desk can give to a request: within what was wished, and outside of it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from clinic_portal import clock
from clinic_portal.backoffice import appointments, options, request_words, words
from clinic_portal.backoffice.person import staff
from clinic_portal.backoffice.request_acts import CHANGED, read_day, read_version
from clinic_portal.database import db
from clinic_portal.errors import DomainError, InvalidRequest, PatientBusy, SlotTaken, VersionConflict
from clinic_portal.models import Appointment
from clinic_portal.scheduling.by_hand import HandTimes, times_by_hand
from clinic_portal.scheduling.handling import place_by_hand
from clinic_portal.scheduling.times import FreeTime

FIELD, SHAPE = "start", "%Y%m%dT%H%MZ"
TAKEN = "Somebody was faster: this time has just been taken. These are free now."
BUSY = "The patient has another appointment then. Choose another time."


def place(visit: Appointment, form: Mapping[str, str]) -> Appointment:
    """Book the time of a form for a request.

    Raises: InvalidRequest when it names none, and whatever the service refuses.
    """
    starts_at, token = _read_start(form.get(FIELD, "")), form.get("token", "")
    return place_by_hand(
        actor=staff(),
        appointment_id=visit.id,
        starts_at=starts_at,
        token=token,
        expected_version=read_version(form),
        beyond_caps=_is_beyond(form),
    )


def _is_beyond(values: Mapping[str, str]) -> bool:
    """Whether a clinician may get more visits on one day than they have at most."""
    return bool(values.get("beyond"))


def told_placed(visit: Appointment) -> str:
    """What was booked, and with whom."""
    assert visit.practitioner is not None
    assert visit.location is not None
    when = words.moment(visit.starts_at, visit.location.zone)
    return f"Booked: {when}, {visit.practitioner.name}, {visit.location.name}."


def times_to_choose(visit: Appointment, error: DomainError | None, values: Mapping[str, str]) -> dict[str, Any]:
    """The free times now, what is wrong with the choice, and from which day on one looks."""
    problems = [] if error is None else [{"field": FIELD, "text": _text(error)}]
    typed_day, from_on = values.get("day", ""), None
    try:
        from_on = read_day(typed_day, "day") if typed_day else visit.wish_from
    except InvalidRequest as wrong:
        problems.append({"field": "day", "text": str(wrong)})
    is_beyond = _is_beyond(values)
    found = _times(visit, from_on, problems, beyond_caps=is_beyond) if visit.is_request else None
    return {
        "visit": visit,
        "said": request_words,
        "zone": appointments.zone_of(visit),
        "inside": _shown(found, inside=True),
        "outside": _shown(found, inside=False),
        "last_day": found.last_day if found else None,
        "typed_day": typed_day,
        "has_caps": found is not None and found.has_caps,
        "is_beyond": is_beyond,
        "chosen": values.get(FIELD, ""),
        "token": secrets.token_urlsafe(16),
        "problems": problems,
    }


def _times(
    visit: Appointment, from_on: date | None, problems: list[dict[str, str]], *, beyond_caps: bool
) -> HandTimes | None:
    try:
        return times_by_hand(db.session(), visit, from_on, beyond_caps=beyond_caps)
    except DomainError as error:
        # Such visits, or such a way, are not offered any more.
        problems.append({"field": "", "text": str(error)})
        return None


def _shown(found: HandTimes | None, *, inside: bool) -> list[tuple[str, str]]:
    """Each time by its value in the form and in words, with the places where it is free."""
    times = [] if found is None else found.inside if inside else found.outside
    return [(time.starts_at.astimezone(UTC).strftime(SHAPE), _words(time, found)) for time in times if found]


def _words(time: FreeTime, found: HandTimes) -> str:
    names = options.names()["locations"]
    where = " or ".join(names[place] for place in time.location_ids)
    return f"{words.moment(time.starts_at, found.zones[time.location_ids[0]])}, {where}"


def _read_start(text: str) -> datetime:
    """Raises: InvalidRequest."""
    try:
        found = datetime.strptime(text, SHAPE).replace(tzinfo=UTC)
    except ValueError:
        raise InvalidRequest("Choose one of the times.") from None
    if found.year not in clock.YEARS:
        raise InvalidRequest("Choose one of the times.")
    return found


def _text(error: DomainError) -> str:
    if isinstance(error, SlotTaken):
        return TAKEN
    if isinstance(error, VersionConflict):
        return CHANGED
    return BUSY if isinstance(error, PatientBusy) else str(error)
