"""Invitations: the clinic asks patients to have one visit within some days; and who has not booked it yet."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from flask import flash, redirect, request, url_for
from flask_admin import expose
from sqlalchemy import select

from clinic_portal import clock
from clinic_portal.backoffice import places, request_form, request_words, words
from clinic_portal.backoffice.lists import Page
from clinic_portal.backoffice.person import PersonPage, back_to, read_id, staff
from clinic_portal.backoffice.request_acts import read_day
from clinic_portal.database import db
from clinic_portal.errors import AlreadyAsked, DomainError, InvalidRequest, ModeNotOffered, NotAllowed, NotFound
from clinic_portal.models import MAX_NOTE, ContinuityWish, Patient, PriorityClass, VisitInvitation, VisitType
from clinic_portal.scheduling.invitations import invite, open_invitations, withdraw_invitation
from clinic_portal.scheduling.invited import invitations_by, lapses_soon
from clinic_portal.scheduling.notes import NoteRefused
from clinic_portal.web.errors import status_of

FIELDS = ("visit_type", "due_from", "due_until", "continuity", "priority", "message", "queue")
# What a form says before anybody has changed it: from four weeks on, for two weeks.
FIRST, LENGTH = timedelta(weeks=4), timedelta(weeks=2)
FIELD_OF: tuple[tuple[type[DomainError], str], ...] = (
    (NoteRefused, "message"),
    (ModeNotOffered, "queue"),
    (AlreadyAsked, "visit_type"),
)


class InvitationsPage(Page):
    """Everybody's open invitations, those that lapse soon first."""

    words = words

    @expose("/", methods=("GET", "POST"))  # type: ignore[untyped-decorator]
    def index(self) -> Any:
        if request.method == "POST":
            _withdraw()
            flash("The invitation is withdrawn.", "success")
            return redirect(url_for(".index"), 303)
        now = clock.now()
        rows = [(one, lapses_soon(one, now)) for one in invitations_by(db.session())]
        return self.render("backoffice/invitations.html", rows=rows, today=places.today(), zone=places.clinic_zone())


class InvitePage(PersonPage):
    """The open invitations of one patient, and a form to invite to a visit."""

    @expose("/", methods=("GET", "POST"))  # type: ignore[untyped-decorator]
    def index(self) -> Any:
        patient = self.patient()
        if request.method == "GET":
            return self._page(patient, _at_first())
        if "withdraw" in request.form:
            _withdraw(patient)
            return back_to(patient, "The invitation is withdrawn.")
        try:
            made = _invite(patient)
        except (NotFound, NotAllowed):
            raise
        except DomainError as error:
            return self._page(patient, {name: request.form.get(name, "") for name in FIELDS}, error)
        is_used = made.used_by_appointment_id is not None
        return back_to(patient, "The queue looks for a time now." if is_used else "The patient is invited.")

    def _page(self, patient: Patient, typed: dict[str, str], error: DomainError | None = None) -> Any:
        now = clock.now()
        return self.show(
            "backoffice/patient_invite.html",
            patient,
            [_problem(error)] if error else [],
            status_of(error) if error else 200,
            rows=[(one, lapses_soon(one, now)) for one in open_invitations(db.session(), [patient.id])],
            typed=typed,
            visit_types=request_form.visit_types(),
            continuities=[(one.value, text) for one, text in request_words.CONTINUITY.items()],
            classes=[(one.value, text) for one, text in words.PRIORITY.items()],
            longest=MAX_NOTE,
            token=secrets.token_urlsafe(16),
        )


def _at_first() -> dict[str, str]:
    first = places.today() + FIRST
    typed = dict.fromkeys(FIELDS, "") | {"continuity": "none", "priority": "routine"}
    return typed | {"due_from": first.isoformat(), "due_until": (first + LENGTH).isoformat()}


def _invite(patient: Patient) -> VisitInvitation:
    """Raises: InvalidRequest naming the field, and whatever the service refuses."""
    form = request.form
    chosen = form.get("visit_type", "")
    visit_type_id = db.session.scalar(
        select(VisitType.id).filter_by(public_id=chosen if chosen.isprintable() else "", is_active=True)
    )
    if visit_type_id is None:
        raise InvalidRequest("Choose a visit type.", at="visit_type")
    continuity, priority = form.get("continuity", ""), form.get("priority", "")
    if continuity not in set(ContinuityWish):
        raise InvalidRequest("Choose whom the patient should see.", at="continuity")
    if priority not in set(PriorityClass):
        raise InvalidRequest("Choose how urgent it is.", at="priority")
    return invite(
        actor=staff(),
        patient_id=patient.id,
        visit_type_id=visit_type_id,
        due_from=read_day(form.get("due_from", ""), "due_from"),
        due_until=read_day(form.get("due_until", ""), "due_until"),
        priority=PriorityClass(priority),
        continuity=ContinuityWish(continuity),
        message=form.get("message"),
        is_for_queue=form.get("queue") == "yes",
        token=form.get("token", ""),
    )


def _problem(error: DomainError) -> dict[str, str]:
    named = error.facts.get("at") or error.facts.get("field")
    found = (
        named if named in FIELDS else next((field for kind, field in FIELD_OF if isinstance(error, kind)), "due_until")
    )
    return {"field": found, "text": str(error)}


def _withdraw(patient: Patient | None = None) -> None:
    """Raises: InvalidRequest when the form names none, NotFound when it is not the patient's whose page that is."""
    if "withdraw" not in request.form:
        raise InvalidRequest("Choose which invitation to withdraw.")
    invitation_id = read_id(request.form["withdraw"])
    found = db.session.get(VisitInvitation, invitation_id)
    if found is None or (patient is not None and found.patient_id != patient.id):
        raise NotFound
    withdraw_invitation(actor=staff(), invitation_id=invitation_id)
