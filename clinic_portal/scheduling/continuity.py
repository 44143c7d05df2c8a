"""The wish to see the same person as last time; a patient never picks a name."""

from __future__ import annotations

from collections.abc import Mapping

SEEN_LAST, USUAL = "seen_last", "usual"


def same_person(familiar: Mapping[int, str]) -> int | None:
    """Who saw the patient last, else whom the patient usually sees."""
    by_reason = {reason: practitioner_id for practitioner_id, reason in familiar.items()}
    return by_reason.get(SEEN_LAST) or by_reason.get(USUAL)
