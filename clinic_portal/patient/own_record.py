"""Your own record: take everything along, and see who has looked at it. For oneself only, never for somebody else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

from flask import Response, request, url_for

from clinic_portal.accounts import actor_for, signed_in, signed_in_account
from clinic_portal.clock import local_date
from clinic_portal.database import db
from clinic_portal.languages import _, in_sentence
from clinic_portal.patient.blueprint import blueprint
from clinic_portal.patient.record_codes import CODES
from clinic_portal.patient.record_words import AS_IT_IS, LABELS, PLACE_WORDS, ROLE_WORDS, SECTIONS, WORDS
from clinic_portal.profile.access import openings_of
from clinic_portal.profile.export import export_data
from clinic_portal.profile.rights import own_right
from clinic_portal.scheduling.zones import clinic_zone
from clinic_portal.web import page
from clinic_portal.wording import date_plain, time_short


@blueprint.get("/profile/export")
@signed_in
def export() -> Response:
    """Your data: what one gets, and two ways to get it."""
    own_right(signed_in_account())
    return page("patient/export.html", back_url=url_for("patient.profile"))


@blueprint.post("/profile/export")
@signed_in
def make_export() -> Response:
    """All of it, as a page or as a file. By a form, because handing it out is noted."""
    account = signed_in_account()
    right = own_right(account)
    data = export_data(actor=actor_for(account, right.patient_id), patient_id=right.patient_id)
    if request.form.get("as") == "file":
        headers = {"Content-Disposition": 'attachment; filename="my-data.json"'}
        return Response(json.dumps(data, indent=2, ensure_ascii=False), mimetype="application/json", headers=headers)
    zone = _zone()
    sections = [
        (_(heading), [list(_lines(row, zone)) for row in _rows(data[key])]) for key, heading in SECTIONS.items()
    ]
    return page("patient/exported.html", sections=sections, back_url=url_for("patient.export"))


@blueprint.get("/profile/access")
@signed_in
def access() -> Response:
    """Who has looked at your record."""
    right, zone = own_right(signed_in_account()), _zone()
    shown = [
        {
            "when": _moment(one.opened_at, zone),
            "who": _(ROLE_WORDS[one.role]) if one.role in ROLE_WORDS else _("The clinic"),
            "what": in_sentence(_(PLACE_WORDS[one.place])),
        }
        for one in openings_of(db.session(), right.patient_id)
    ]
    return page("patient/access.html", openings=shown, back_url=url_for("patient.profile"))


def _zone() -> str:
    return clinic_zone(db.session())


def _rows(section: Any) -> list[Mapping[str, Any]]:
    return section if isinstance(section, list) else [section]


def _lines(row: Mapping[str, Any], zone: str) -> Iterator[tuple[str, str]]:
    """What is known of one thing, in words; what is not known or not so is left out."""
    for key, value in row.items():
        if value is None or value is False or value in ([], 0):
            continue
        label = key.removesuffix("_at").removesuffix("_code").removeprefix("is_")
        yield _(LABELS[key]) if key in LABELS else _worded(label), _said(key, value, row.get("zone") or zone)


def _said(key: str, value: Any, zone: str) -> str:
    if value is True:
        return _("Yes")
    if isinstance(value, list):
        return ", ".join(_worded(each) for each in value)
    if (key, value) in WORDS:
        return _(WORDS[key, value])
    if key.endswith(("_at", "_since")):
        return _moment(datetime.fromisoformat(value), zone)
    if key.endswith("_on"):
        return date_plain(date.fromisoformat(value))
    if key in AS_IT_IS:
        # It may know in which language it is.
        text: str = value
        return text
    return _worded(str(value))


def _moment(instant: datetime, zone: str) -> str:
    return f"{date_plain(local_date(instant, zone))}, {time_short(instant, zone)}"


def _worded(code: str) -> str:
    return _(CODES[code]) if code in CODES else code.replace("_", " ").replace("-", " ").capitalize()
