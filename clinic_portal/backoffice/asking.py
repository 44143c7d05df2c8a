"""The desk asks for a patient who calls or stands there; and lets the queue book the visit of an invitation."""

from __future__ import annotations

import secrets
from typing import Any

from flask import flash, redirect, request, url_for
from flask_admin import expose
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from clinic_portal import clock
from clinic_portal.backoffice import request_form
from clinic_portal.backoffice.person import PersonPage, staff
from clinic_portal.database import db
from clinic_portal.errors import DomainError, NotAllowed, NotFound
from clinic_portal.models import MAX_NOTE, Appointment, ContactKind, Origin, Patient, VisitInvitation
from clinic_portal.scheduling.invitations import let_queue_book
from clinic_portal.scheduling.requests import request_appointment
from clinic_portal.web.errors import status_of

PHONES = (ContactKind.MOBILE, ContactKind.LANDLINE)


class AskPage(PersonPage):
    """What a patient asks for, in one short form."""

    @expose("/", methods=("GET", "POST"))  # type: ignore[untyped-decorator]
    def index(self) -> Any:
        patient = self.patient()
        invitation = _invitation(patient, request.args.get("invitation", ""))
        if request.method == "GET":
            return self._form(patient, invitation, _at_first(patient, invitation))
        try:
            visit = _ask(patient, invitation)
        except (NotFound, NotAllowed):
            raise
        except DomainError as error:
            return self._form(patient, invitation, request_form.typed_in(request.form), error)
        flash("It is asked for. The queue looks for a time now.", "success")
        return redirect(url_for("backoffice_requests.details", id=visit.public_id), 303)

    def _form(
        self,
        patient: Patient,
        invitation: VisitInvitation | None,
        typed: dict[str, Any],
        error: DomainError | None = None,
    ) -> Any:
        return self.show(
            "backoffice/patient_ask.html",
            patient,
            [request_form.problem_of(error)] if error else [],
            status_of(error) if error else 200,
            typed=typed,
            invitation=invitation,
            longest=MAX_NOTE,
            token=secrets.token_urlsafe(16),
            **request_form.choices(),
        )


def _invitation(patient: Patient, public_id: str) -> VisitInvitation | None:
    """The open invitation whose visit the queue is to book, if the address names one.

    Raises: NotFound when it is not this patient's, or not open.
    """
    if not public_id:
        return None
    known = select(VisitInvitation).filter_by(patient_id=patient.id, public_id=public_id)
    found = (
        db.session.scalar(known.options(joinedload(VisitInvitation.visit_type))) if public_id.isprintable() else None
    )
    if found is None or (request.method == "GET" and not found.is_open(clock.now())):
        raise NotFound
    return found


def _at_first(patient: Patient, invitation: VisitInvitation | None) -> dict[str, Any]:
    typed: dict[str, Any] = dict.fromkeys(request_form.ONE_LINE, "") | {name: [] for name in request_form.SEVERAL}
    numbers = [point.value for point in patient.contact_points if point.kind in PHONES and point.is_usable]
    typed |= {"mode": "in_person", "continuity": "none", "warning": "0", "how": Origin.PHONE.value}
    typed["call_number"] = numbers[0] if numbers else ""
    if invitation is not None:
        typed["continuity"] = invitation.continuity_wish.value
    return typed


def _ask(patient: Patient, invitation: VisitInvitation | None) -> Appointment:
    """Raises: InvalidRequest naming the field, and whatever the services refuse."""
    form, token = request.form, request.form.get("token", "")
    wishes, number = request_form.read_wishes(form), form.get("call_number")
    if invitation is not None:
        search = request_form.read_search(form, patient, invitation.visit_type_id)
        return let_queue_book(actor=staff(), invitation_id=invitation.id, search=search, wishes=wishes, token=token,
                              call_number=number)  # fmt: skip
    search, how = request_form.read_search(form, patient), request_form.read_how(form)
    return request_appointment(actor=staff(), search=search, wishes=wishes, token=token, note=form.get("note"),
                               call_number=number, origin=how)  # fmt: skip
