"""The privacy notice: for everybody to read, and to be accepted once before the first booking."""

from __future__ import annotations

from flask import Response, request, url_for
from flask_login import current_user

from clinic_portal.accounts import patients_for, signed_in, signed_in_account
from clinic_portal.accounts.asking import is_own_path
from clinic_portal.audit import Actor, ActorKind
from clinic_portal.errors import NotAllowed
from clinic_portal.patient.blueprint import blueprint
from clinic_portal.profile.notice import VERSION, accept_notice, has_accepted
from clinic_portal.web import page, see_other
from clinic_portal.web.pages import own_address

# The ways into a booking. Changing and cancelling what is booked needs no new consent.
BOOKING = frozenset({
    "patient.who", "patient.visit_type", "patient.emergency", "patient.place", "patient.help_needed", "patient.times",
})  # fmt: skip


@blueprint.before_request
def show_notice_first() -> Response | None:
    """Whoever has not accepted the notice in force reads it on the way to a booking."""
    is_on_the_way = request.endpoint in BOOKING and request.method == "GET" and current_user.is_authenticated
    if not is_on_the_way or not _must_answer():
        return None
    return see_other(url_for("patient.privacy", next=own_address()))


@blueprint.get("/privacy")
def privacy() -> Response:
    """What the clinic does with what it knows."""
    return page("patient/privacy.html", version=VERSION, needs_answer=current_user.is_authenticated and _must_answer())


@blueprint.post("/privacy")
@signed_in
def accept_privacy() -> Response:
    """Note that it was read, and go on."""
    account = signed_in_account()
    if not patients_for(account):
        raise NotAllowed
    accept_notice(actor=Actor(ActorKind.PATIENT, account.id))
    target = request.args.get("next", "")
    return see_other(target if is_own_path(target) else url_for("patient.privacy"))


def _must_answer() -> bool:
    """Whether this account books for anybody and has not accepted the notice in force."""
    account = signed_in_account()
    return not has_accepted(account) and bool(patients_for(account))
