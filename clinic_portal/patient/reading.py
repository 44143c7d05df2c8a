"""Input from addresses and forms: whatever is sent becomes a value or a clear refusal, never a fault."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

from flask import current_app
from itsdangerous import BadSignature, URLSafeSerializer

from clinic_portal.errors import InvalidRequest, NotFound
from clinic_portal.languages import N_
from clinic_portal.models import CancelReason, Patient, VisitType
from clinic_portal.scheduling.safety import SafetyAnswer

INSTANT = "%Y%m%dT%H%MZ"
_INSTANT_SHAPE = re.compile(r"\d{8}T\d{4}Z", re.ASCII)
_DATE_SHAPE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_PUBLIC_ID_SHAPE = re.compile(r"[A-Za-z0-9_-]{1,24}", re.ASCII)
_TOKEN_SHAPE = re.compile(r"[A-Za-z0-9_-]{16,64}", re.ASCII)

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
        if _INSTANT_SHAPE.fullmatch(text):
            return datetime.strptime(text, INSTANT).replace(tzinfo=UTC)
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
        if _DATE_SHAPE.fullmatch(text):
            return date.fromisoformat(text)
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


# Whether a visit is kept from people who act for the patient, as it travels in forms.
PRIVATE = {"yes": True, "no": False, "": None}


def read_private(text: str | None) -> str:
    """The answer to whether a visit is private; anything else is no answer."""
    return text if text in PRIVATE and text else ""


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
