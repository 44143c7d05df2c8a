"""A doctor invites a patient to a next visit, and sees which of these invitations nobody has used yet."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from flask import Response, flash, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from clinic_portal import clock
from clinic_portal.accounts import actor_of, practitioner_for, roles_required, signed_in_account
from clinic_portal.database import db
from clinic_portal.doctor.blueprint import blueprint
from clinic_portal.doctor.day import zone_of_days
from clinic_portal.errors import AlreadyAsked, DomainError, InvalidRequest, ModeNotOffered, NotAllowed, NotFound
from clinic_portal.languages import N_, _, ngettext
from clinic_portal.models import ACTIVE, MAX_NOTE, Appointment, ContinuityWish, RoleName, VisitInvitation, VisitType
from clinic_portal.scheduling.invitations import invite, withdraw_invitation
from clinic_portal.scheduling.invited import invitations_by, lapses_soon
from clinic_portal.scheduling.notes import NoteRefused
from clinic_portal.visit_texts import text_of
from clinic_portal.web import page, see_other
from clinic_portal.web.errors import status_of
from clinic_portal.wording import say

# In how many weeks the visit should be, and within how many from then on.
WEEKS, LENGTHS = (1, 2, 4, 6, 8, 12, 26), (1, 2, 4)
CONTINUITY = {
    ContinuityWish.NONE: N_("Anybody"),
    ContinuityWish.PREFER_SAME: N_("Rather the same person as last time"),
    ContinuityWish.SAME_ONLY: N_("Only the same person as last time"),
}
FIELDS = ("visit_type", "weeks", "length", "continuity", "message", "queue")
FIELD_OF: tuple[tuple[type[DomainError], str], ...] = (
    (NoteRefused, "message"),
    (ModeNotOffered, "queue"),
    (AlreadyAsked, "visit_type"),
)


@blueprint.get("/visits/<public_id>/invite")
@roles_required(RoleName.PRACTITIONER)
def invite_again(public_id: str) -> Response:
    """A short form: to what, in how many weeks."""
    visit = _own_visit(public_id)
    typed = {"visit_type": visit.visit_type.public_id, "weeks": "4", "length": "2", "continuity": "none"}
    return _form(visit, dict.fromkeys(FIELDS, "") | typed)


@blueprint.post("/visits/<public_id>/invite")
@roles_required(RoleName.PRACTITIONER)
def send_invitation(public_id: str) -> Response:
    """Invite the patient."""
    visit = _own_visit(public_id)
    try:
        made = _invite(visit)
    except (NotFound, NotAllowed):
        raise
    except DomainError as error:
        return _form(_own_visit(public_id), {name: request.form.get(name, "") for name in FIELDS}, error)
    is_used = made.used_by_appointment_id is not None
    flash(_("The portal looks for a time now.") if is_used else _("The patient is invited."), "success")
    return see_other(url_for("doctor.invitations"))


@blueprint.get("/invitations")
@roles_required(RoleName.PRACTITIONER)
def invitations() -> Response:
    """Your invitations that nobody has used yet; what lapses first comes first."""
    now = clock.now()
    rows = [
        {
            "public_id": one.public_id,
            "who": one.patient.full_name,
            "what": text_of(db.session(), one.visit_type_id).name,
            "message": one.message,
            "first_on": one.due_from,
            "last_on": one.due_until,
            "is_soon": lapses_soon(one, now),
        }
        for one in invitations_by(db.session(), signed_in_account().id)
    ]
    return page("doctor/invitations.html", rows=rows, back_url=url_for("doctor.day"))


@blueprint.post("/invitations")
@roles_required(RoleName.PRACTITIONER)
def withdraw() -> Response:
    """Take one of your invitations back."""
    account, public_id = signed_in_account(), request.form.get("withdraw")
    if public_id is None:
        raise InvalidRequest(N_("Choose which invitation to withdraw."))
    known = select(VisitInvitation.id).filter_by(
        public_id=public_id if public_id.isprintable() else "", made_by_account_id=account.id
    )
    invitation_id = db.session().scalar(known)
    if invitation_id is None:
        raise NotFound
    withdraw_invitation(actor=actor_of(account), invitation_id=invitation_id)
    flash(_("The invitation is withdrawn."), "success")
    return see_other(url_for("doctor.invitations"))


def _own_visit(public_id: str) -> Appointment:
    """One of the doctor's own visits.

    Raises: NotFound.
    """
    practitioner = practitioner_for(signed_in_account())
    known = select(Appointment).where(
        Appointment.public_id == (public_id if public_id.isprintable() else ""),
        Appointment.practitioner_id == practitioner.id,
        Appointment.status.in_(ACTIVE),
    )
    found = db.session().scalar(
        known.options(
            joinedload(Appointment.patient), joinedload(Appointment.visit_type), joinedload(Appointment.location)
        )
    )
    if found is None:
        raise NotFound
    return found


def _invite(visit: Appointment) -> VisitInvitation:
    """Raises: InvalidRequest naming the field, and whatever the service refuses."""
    form, account = request.form, signed_in_account()
    weeks, length = form.get("weeks", ""), form.get("length", "")
    if weeks not in map(str, WEEKS):
        raise InvalidRequest(N_("Choose when the visit should be."), field="weeks")
    if length not in map(str, LENGTHS):
        raise InvalidRequest(N_("Choose within how many weeks."), field="length")
    continuity = form.get("continuity", "")
    if continuity not in set(ContinuityWish):
        raise InvalidRequest(N_("Choose whom the patient should see."), field="continuity")
    zone = zone_of_days(db.session(), practitioner_for(account))
    first = clock.local_date(clock.now(), zone) + timedelta(weeks=int(weeks))
    return invite(
        actor=actor_of(account),
        patient_id=visit.patient_id,
        visit_type_id=_visit_type(form.get("visit_type", "")),
        due_from=first,
        due_until=first + timedelta(weeks=int(length), days=-1),
        continuity=ContinuityWish(continuity),
        message=form.get("message"),
        is_for_queue=form.get("queue") == "yes",
        token=form.get("token", ""),
    )


def _visit_type(public_id: str) -> int:
    known = select(VisitType.id).filter_by(public_id=public_id if public_id.isprintable() else "", is_active=True)
    found = db.session().scalar(known)
    if found is None:
        raise InvalidRequest(N_("Choose what the patient should book."), field="visit_type")
    return found


def _form(visit: Appointment, typed: dict[str, str], error: DomainError | None = None) -> Response:
    return page(
        "doctor/invite.html",
        status=status_of(error) if error else 200,
        errors=[_problem(error)] if error else [],
        patient_name=visit.patient.full_name,
        back_url=_day_of(visit),
        visit_types=_options(_visit_types(), typed["visit_type"]),
        weeks=_options(
            [(str(each), ngettext("In %(num)d week", "In %(num)d weeks", each)) for each in WEEKS], typed["weeks"]
        ),
        lengths=_options(
            [(str(each), ngettext("%(num)d week", "%(num)d weeks", each)) for each in LENGTHS], typed["length"]
        ),
        continuities=_options([(one.value, _(text)) for one, text in CONTINUITY.items()], typed["continuity"]),
        typed=typed,
        longest=MAX_NOTE,
        token=secrets.token_urlsafe(16),
    )


def _day_of(visit: Appointment) -> str:
    assert visit.starts_at is not None
    assert visit.location is not None
    return url_for("doctor.day", day=clock.local_date(visit.starts_at, visit.location.zone).isoformat())


def _visit_types() -> list[tuple[str, str]]:
    session = db.session()
    query = select(VisitType.public_id, VisitType.id).where(VisitType.is_active).order_by(VisitType.sort_order)
    return [(row.public_id, text_of(session, row.id).name) for row in session.execute(query)]


def _options(choices: list[tuple[str, str]], chosen: str) -> list[dict[str, Any]]:
    return [{"value": value, "label": label, "hint": "", "is_checked": value == chosen} for value, label in choices]


def _problem(error: DomainError) -> dict[str, str]:
    by_kind = next((field for kind, field in FIELD_OF if isinstance(error, kind)), "visit_type")
    named = error.facts.get("field")
    return {"field": named if named in FIELDS else by_kind, "text": say(error)}
