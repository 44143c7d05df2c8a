"""Your own record: take everything along, and see who has looked at it. For oneself only, never for somebody else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

from flask import Response, request, url_for
from sqlalchemy import select

from clinic_portal.accounts import actor_for, signed_in, signed_in_account
from clinic_portal.clock import local_date
from clinic_portal.database import db
from clinic_portal.models import AccessPlace, Location, RoleName
from clinic_portal.patient.blueprint import blueprint
from clinic_portal.patient.words import NEED_WORDS
from clinic_portal.profile.access import openings_of
from clinic_portal.profile.export import export_data
from clinic_portal.profile.rights import own_right
from clinic_portal.web import page
from clinic_portal.wording import date_plain, time_short

ROLE_WORDS = {
    RoleName.FRONT_DESK: "Reception",
    RoleName.ADMIN: "Administration",
    RoleName.PRACTITIONER: "A clinician",
}
PLACE_WORDS = {AccessPlace.PATIENT: "Your details", AccessPlace.APPOINTMENT: "One of your appointments"}
SECTIONS = {
    "details": "Your details",
    "contact_points": "How we contact you",
    "needs": "What you need",
    "referrals": "Referrals",
    "appointments": "Appointments",
    "messages": "Messages about them",
    "who_may_act_for_you": "Who may act for you",
    "changes": "What was changed, and by whom",
    "who_looked": "Who has looked at your record",
}
# What people wrote themselves is shown as they wrote it.
AS_IT_IS = frozenset({"value", "given_name", "family_name", "called_name", "reference", "appointment", "practitioner",
                      "place", "visit_type", "preferred_language", "zone", "in_your_words", "note",
                      "from_whom"})  # fmt: skip
# Where a code does not say it by itself.
LABELS = {"kind": "By", "value": "Address or number", "birth_on": "Birth date", "starts_on": "Since",
          "ends_on": "Until", "revoked_at": "Ended", "made_at": "When", "opened_at": "When", "role": "Who",
          "page": "What", "unverified_since": "Not confirmed since", "failed_at": "Does not work since",
          "requested_at": "Asked for", "ended_at": "Ended", "created_at": "Written", "registered_on": "Registered",
          "sequence": "Times moved", "asked_at": "Told", "source": "Told by", "note": "What it is about",
          "extra_minutes": "Minutes longer for your needs"}  # fmt: skip
WORDS = {
    ("kind", "email"): "E-mail", ("kind", "post"): "Letter", ("channel", "email"): "E-mail",
    ("whose", "self"): "Your own", ("whose", "parent"): "A parent’s", ("whose", "carer"): "A carer’s",
    ("relation", "self"): "Yourself", ("by", "proxy"): "Somebody who may act for you", ("by", "staff"): "The clinic",
    **{("need", need.value): words for need, words in NEED_WORDS.items()},
    ("source", "patient"): "Yourself", ("source", "proxy"): "Somebody who may act for you",
    ("source", "staff"): "The clinic",
    ("by", "system"): "The portal", ("by", "patient"): "Yourself", ("event", "verify"): "Confirm an address",
    **{("role", role.value): words for role, words in ROLE_WORDS.items()},
    **{("page", place.value): words for place, words in PLACE_WORDS.items()},
}  # fmt: skip


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
    sections = [(heading, [list(_lines(row, zone)) for row in _rows(data[key])]) for key, heading in SECTIONS.items()]
    return page("patient/exported.html", sections=sections, back_url=url_for("patient.export"))


@blueprint.get("/profile/access")
@signed_in
def access() -> Response:
    """Who has looked at your record."""
    right, zone = own_right(signed_in_account()), _zone()
    shown = [
        {
            "when": _moment(one.opened_at, zone),
            "who": ROLE_WORDS.get(one.role, "The clinic"),
            "what": PLACE_WORDS[one.place],
        }
        for one in openings_of(db.session(), right.patient_id)
    ]
    return page("patient/access.html", openings=shown, back_url=url_for("patient.profile"))


def _zone() -> str:
    return db.session().scalar(select(Location.zone).order_by(Location.id).limit(1)) or "UTC"


def _rows(section: Any) -> list[Mapping[str, Any]]:
    return section if isinstance(section, list) else [section]


def _lines(row: Mapping[str, Any], zone: str) -> Iterator[tuple[str, str]]:
    """What is known of one thing, in words; what is not known or not so is left out."""
    for key, value in row.items():
        if value is None or value is False or value in ([], 0):
            continue
        label = key.removesuffix("_at").removesuffix("_code").removeprefix("is_")
        yield LABELS.get(key) or _worded(label), _said(key, value, row.get("zone") or zone)


def _said(key: str, value: Any, zone: str) -> str:
    if value is True:
        return "Yes"
    if isinstance(value, list):
        return ", ".join(WORDS.get(("need", each)) or _worded(each) for each in value)
    if (key, value) in WORDS:
        return WORDS[key, value]
    if key.endswith(("_at", "_since")):
        return _moment(datetime.fromisoformat(value), zone)
    if key.endswith("_on"):
        return date_plain(date.fromisoformat(value))
    return str(value) if key in AS_IT_IS else _worded(str(value))


def _moment(instant: datetime, zone: str) -> str:
    return f"{date_plain(local_date(instant, zone))}, {time_short(instant, zone)}"


def _worded(code: str) -> str:
    return code.replace("_", " ").replace("-", " ").capitalize()
