"""Input from addresses and forms: whatever is sent becomes a value or a clear refusal, never a fault."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any

from flask import current_app
from itsdangerous import BadSignature, URLSafeSerializer

from clinic_portal import clock
from clinic_portal.errors import InvalidRequest, NotFound
from clinic_portal.languages import N_, _
from clinic_portal.models import MODE_BIT, CancelReason, ContinuityWish, Mode, Patient, VisitType
from clinic_portal.scheduling.safety import SafetyAnswer

INSTANT = "%Y%m%dT%H%MZ"
_INSTANT_SHAPE = re.compile(r"\d{8}T\d{4}Z", re.ASCII)
_DATE_SHAPE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_PUBLIC_ID_SHAPE = re.compile(r"[A-Za-z0-9_-]{1,24}", re.ASCII)
_TOKEN_SHAPE = re.compile(r"[A-Za-z0-9_-]{16,64}", re.ASCII)

PARTS_OF_DAY = ("morning", "afternoon", "evening")

# What a patient may answer when asked why; the clinic has reasons of its own.
PATIENT_REASONS = {
    CancelReason.FEEL_BETTER: N_("I feel better"),
    CancelReason.CANNOT_COME: N_("I can’t make this time"),
    CancelReason.SEEN_ELSEWHERE: N_("I’m seeing someone else"),
    CancelReason.OTHER: N_("Something else"),
}


def write_instant(instant: datetime) -> str:
    """An instant as it travels in forms: "20260302T0930Z"."""
    return instant.astimezone(UTC).strftime(INSTANT)


def read_instant(text: str) -> datetime:
    """The instant behind a choice of time.

    Times: UTC only; a wall-clock time could be one that the clock skips or shows twice.
    Raises: InvalidRequest.
    """
    try:
        found = datetime.strptime(text, INSTANT).replace(tzinfo=UTC)
        if _INSTANT_SHAPE.fullmatch(text) and found.year in clock.YEARS:
            return found
    except ValueError:
        pass
    raise InvalidRequest(N_("Choose one of the times on the page."))


def read_date(text: str | None) -> date | None:
    """A day in an address, or None when there is none.

    Raises: InvalidRequest.
    """
    if not text:
        return None
    try:
        if _DATE_SHAPE.fullmatch(text) and (found := date.fromisoformat(text)).year in clock.YEARS:
            return found
    except ValueError:
        pass
    raise InvalidRequest(N_("Choose one of the days on the page."))


def read_public_id(text: str) -> str:
    """A random id in an address or a form.

    Raises: NotFound when it cannot be one; no database has to look for it.
    """
    if not _PUBLIC_ID_SHAPE.fullmatch(text):
        raise NotFound
    return text


def read_token(text: str | None) -> str:
    """The token of a form, which makes sending it twice the same as once.

    Raises: InvalidRequest.
    """
    if not _TOKEN_SHAPE.fullmatch(text or ""):
        raise InvalidRequest(N_("Reload the page and try again."))
    return text or ""


def read_mode(text: str) -> Mode:
    """One of the modes that patients may choose.

    Raises: NotFound.
    """
    mode = next((mode for mode in MODE_BIT if mode.value == text), None)
    if mode is None:
        raise NotFound
    return mode


def read_continuity(text: str | None) -> ContinuityWish:
    """How much it matters to see the same person; no answer means that it does not.

    Raises: NotFound.
    """
    if not text:
        return ContinuityWish.NONE
    wish = next((wish for wish in ContinuityWish if wish.value == text), None)
    if wish is None:
        raise NotFound
    return wish


def read_part(text: str | None) -> str | None:
    """The part of the day that alone is to be shown, or None for all of it.

    Raises: NotFound.
    """
    if not text:
        return None
    if text not in PARTS_OF_DAY:
        raise NotFound
    return text


def write_safety(safety: SafetyAnswer, patient: Patient, visit_type: VisitType) -> str:
    """The answer to the emergency check as it travels in an address: signed, so that no link can bring it along."""
    about = [patient.public_id, visit_type.public_id]
    return str(_signer().dumps([*about, safety.version, int(safety.answered_at.timestamp())]))


def read_safety(code: str, patient: Patient, visit_type: VisitType) -> SafetyAnswer | None:
    """The answer behind a code; None when it is for somebody or something else, or not ours."""
    try:
        of_patient, of_type, version, seconds = _signer().loads(code)
    except BadSignature:
        return None
    if (of_patient, of_type) != (patient.public_id, visit_type.public_id):
        return None
    return SafetyAnswer(version, datetime.fromtimestamp(seconds, UTC))


def _signer() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.config["SECRET_KEY"], salt="emergency check")


def read_private(text: str | None) -> bool | None:
    """The answer to whether a visit is kept from people who act for the patient; anything else is no answer."""
    return {"yes": True, "no": False}.get(text or "")


def read_reason(text: str | None) -> CancelReason | None:
    """Why a visit is cancelled, if the patient says so.

    Raises: InvalidRequest.
    """
    if not text:
        return None
    reason = next((reason for reason in PATIENT_REASONS if reason.value == text), None)
    if reason is None:
        raise InvalidRequest(N_("Choose one of the reasons, or none."))
    return reason


def reason_options() -> list[dict[str, Any]]:
    """What a patient may answer when asked why, as choices on a page."""
    return [
        {"value": reason.value, "label": _(words), "hint": "", "is_checked": False}
        for reason, words in PATIENT_REASONS.items()
    ]
