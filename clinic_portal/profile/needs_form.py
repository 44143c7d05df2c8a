"""The form that asks for needs, as patients and the desk fill it in: boxes to tick, and words under two of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from werkzeug.datastructures import MultiDict

from clinic_portal.errors import InvalidRequest
from clinic_portal.languages import N_, _
from clinic_portal.models import MAX_NEED_DETAIL, Need
from clinic_portal.profile.needs import Wanted
from clinic_portal.wording import say

# The field that belongs to a need.
DETAIL = {Need.INTERPRETER: "language", Need.OTHER: "other"}
# The answer that there are no needs; nothing ticked is no answer.
NONE = "none"


def read_ticked(values: list[str]) -> frozenset[Need] | None:
    """The needs that were ticked; "none" stands for the answer that there are none, and no value for no answer.

    Raises: InvalidRequest for anything else, and for "none" together with a need.
    """
    asked = set(values)
    if not asked:
        return None
    if asked == {NONE}:
        return frozenset()
    if unknown := asked - {need.value for need in Need}:
        raise InvalidRequest(N_("Choose what you need, or “No”, but not both.") if NONE in unknown else "")
    return frozenset(Need(value) for value in asked)


def read_form(form: MultiDict[str, str]) -> dict[Need, str | None]:
    """The needs of a form with the words that belong to them, as they were typed.

    Raises: InvalidRequest.
    """
    needs = read_ticked(form.getlist("needs"))
    if needs is None:
        raise InvalidRequest(N_("Choose what you need, or “No”"))
    return {need: _detail(form, need) for need in needs}


def typed(form: MultiDict[str, str]) -> dict[Need, str | None]:
    """What was ticked and written, right or wrong, to be shown again."""
    ticked = set(form.getlist("needs"))
    return {need: _detail(form, need) for need in Need if need.value in ticked}


def _detail(form: MultiDict[str, str], need: Need) -> str | None:
    return form.get(DETAIL[need], "") if need in DETAIL else None


def options(
    ticked: Wanted | None,
    words: Mapping[Need, str],
    hints: Mapping[Need, str],
    details: Mapping[Need, tuple[str, str]],
    no: str,
) -> list[dict[str, Any]]:
    """The boxes; nothing is ticked while nobody has answered.

    Args: details, label and hint of the words that belong to a need. no, the words for the answer that there are none.
    """
    found = [
        {
            "value": need.value,
            "label": _(words[need]),
            "hint": _(hints[need]) if need in hints else "",
            "is_checked": need in (ticked or {}),
            "more": _more(need, (ticked or {}).get(need), *details[need]) if need in details else None,
        }
        for need in words
    ]
    return [*found, {"value": NONE, "label": _(no), "hint": "", "is_checked": ticked == {}, "more": None}]


def _more(need: Need, value: str | None, label: str, hint: str) -> dict[str, Any]:
    return {"name": DETAIL[need], "label": _(label), "hint": _(hint), "value": value or "", "max": MAX_NEED_DETAIL}


def errors_of(error: InvalidRequest | None) -> list[dict[str, str]]:
    """What is wrong and in which field."""
    if error is None:
        return []
    need = error.facts.get("need")
    field = DETAIL[need] if need in DETAIL and error.facts.get("is_detail") else "needs"
    return [{"field": field, "text": say(error)}]
