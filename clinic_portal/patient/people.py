"""People you book for: by which right, since when and until when; and giving such a right up."""

from __future__ import annotations

from datetime import date

from flask import Response, flash, url_for

from clinic_portal.accounts import actor_for, rights_of, signed_in, signed_in_account
from clinic_portal.errors import NotAllowed, NotFound
from clinic_portal.languages import N_, _
from clinic_portal.models import PatientAccess, Relation
from clinic_portal.patient.blueprint import blueprint
from clinic_portal.patient.reading import read_public_id
from clinic_portal.profile.rights import give_up, right_for
from clinic_portal.web import page, see_other
from clinic_portal.wording import date_plain

RELATION_WORDS = {
    Relation.PARENT: N_("You are a parent"),
    Relation.CARER: N_("You are a carer"),
    Relation.POWER_OF_ATTORNEY: N_("You have power of attorney"),
    Relation.OTHER: N_("You help them"),
}


@blueprint.get("/people")
@signed_in
def people() -> Response:
    """The people whom the account acts for today, beside its own."""
    rights = rights_of(signed_in_account())
    if not rights:
        raise NotAllowed
    shown = [_told(right) for right in rights if right.relation != Relation.SELF]
    return page("patient/people.html", people=shown, back_url=url_for("patient.profile"))


@blueprint.get("/people/<person_id>/stop")
@signed_in
def stop(person_id: str) -> Response:
    """Are you sure you want to stop?"""
    right = _right(person_id)
    return page("patient/stop.html", person=_told(right), back_url=url_for("patient.people"))


@blueprint.post("/people/<person_id>/stop")
@signed_in
def confirm_stop(person_id: str) -> Response:
    """Give the right up."""
    account, right = signed_in_account(), _right(person_id)
    name, actor = right.patient.full_name, actor_for(account, right.patient_id)
    has_others = len(rights_of(account)) > 1
    give_up(actor=actor, patient_id=right.patient_id)
    flash(_("You no longer book for %(name)s.", name=name), "success")
    # Without anybody to act for there is nothing left to list.
    return see_other(url_for("patient.people" if has_others else "patient.home"))


def _right(person_id: str) -> PatientAccess:
    right = right_for(signed_in_account(), read_public_id(person_id))
    if right.relation == Relation.SELF:
        raise NotFound
    return right


def _told(right: PatientAccess) -> dict[str, str | None]:
    return {
        "person_id": right.patient.public_id,
        "name": right.patient.full_name,
        "called_name": right.patient.called_name,
        "relation": _(RELATION_WORDS[right.relation]),
        "since": date_plain(right.starts_on),
        "until": date_plain(right.ends_on) if right.ends_on else None,
        "why_until": _why(right.relation, right.patient.birth_on, right.ends_on),
    }


def _why(relation: Relation, born_on: date | None, ends_on: date | None) -> str | None:
    """That a parent's right ends on a birthday is said as such."""
    if relation != Relation.PARENT or born_on is None or ends_on is None:
        return None
    is_birthday = (born_on.month, born_on.day) == (ends_on.month, ends_on.day)
    return _("the %(years)sth birthday", years=ends_on.year - born_on.year) if is_birthday else None
