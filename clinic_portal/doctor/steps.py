"""What a doctor notes of each visit as the day runs, with undo; and how late a session is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from flask import Response, flash, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from clinic_portal import clock
from clinic_portal.accounts import actor_of, practitioner_for, roles_required, signed_in_account
from clinic_portal.database import db
from clinic_portal.doctor.blueprint import blueprint
from clinic_portal.errors import DomainError, InvalidRequest, NotFound, VersionConflict
from clinic_portal.languages import N_, _
from clinic_portal.models import ACTIVE, Appointment, ClinicSession, RoleName
from clinic_portal.scheduling.day_steps import DayStep, steps_of, take_step
from clinic_portal.scheduling.running import run_late, see_agenda
from clinic_portal.web import see_other
from clinic_portal.wording import say

# What a doctor notes; the rest is the desk's to say.
WORDS = {
    DayStep.ARRIVED: N_("Arrived"),
    DayStep.CALLED: N_("With me now"),
    DayStep.SEEN: N_("Seen"),
    DayStep.NO_SHOW: N_("Did not come"),
    DayStep.UNDO: N_("Undo"),
}


@dataclass(frozen=True)
class Step:
    """A button beside a visit."""

    code: str
    words: str
    is_main: bool


def steps_for(visit: Appointment, now: datetime) -> list[Step]:
    """What can be noted of a visit now; the likeliest first."""
    codes = [code for code in steps_of(visit, now) if code in WORDS]
    return [Step(code, WORDS[code], index == 0 and code != DayStep.UNDO) for index, code in enumerate(codes)]


@blueprint.post("/visits/<public_id>/step")
@roles_required(RoleName.PRACTITIONER)
def step(public_id: str) -> Response:
    """Note what has become of one of your visits. Done already is as good as done now."""
    visit = _own_visit(public_id)
    code, back_url = request.form.get("step", ""), _day_of(visit)
    if code not in set(WORDS):
        raise InvalidRequest(N_("Press one of the buttons beside the visit."))
    try:
        take_step(actor=actor_of(signed_in_account()), visit=visit, step=DayStep(code), token="",
                  expected_version=_version())  # fmt: skip
    except VersionConflict:
        flash(_("Somebody has noted something of this visit meanwhile. This is how it stands."), "info")
    except DomainError as error:
        if error.code in ("not_found", "not_allowed"):
            raise
        flash(say(error), "error")
    return see_other(back_url)


def _version() -> int | None:
    text = request.form.get("version", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _own_visit(public_id: str) -> Appointment:
    """One of the doctor's own visits. Raises: NotFound."""
    practitioner = practitioner_for(signed_in_account())
    found = db.session().scalar(
        select(Appointment)
        .where(
            Appointment.public_id == (public_id if public_id.isprintable() else ""),
            Appointment.practitioner_id == practitioner.id,
            Appointment.status.in_(ACTIVE),
        )
        .options(joinedload(Appointment.location))
    )
    if found is None or found.starts_at is None:
        raise NotFound
    return found


def _day_of(visit: Appointment) -> str:
    assert visit.starts_at is not None
    assert visit.location is not None
    return url_for("doctor.day", day=clock.local_date(visit.starts_at, visit.location.zone).isoformat())


@blueprint.post("/late")
@roles_required(RoleName.PRACTITIONER)
def late() -> Response:
    """Say how late you run."""
    practitioner = practitioner_for(signed_in_account())
    number, minutes = request.form.get("session", ""), request.form.get("late_min", "").strip() or "0"
    if not (number.isascii() and number.isdecimal() and len(number) < 18):
        raise InvalidRequest(N_("Reload the page and try again."))
    row = db.session().get(ClinicSession, int(number))
    if row is None or row.practitioner_id != practitioner.id:
        raise NotFound
    if not (minutes.isascii() and minutes.isdecimal() and len(minutes) < 5):
        minutes = "-1"
    try:
        run_late(actor=actor_of(signed_in_account()), session_id=row.id, late_min=int(minutes))
    except InvalidRequest as error:
        flash(say(error), "error")
    else:
        flash(_("Patients of this session see how late you run."), "success")
    return see_other(url_for("doctor.day"))


@blueprint.post("/seen")
@roles_required(RoleName.PRACTITIONER)
def seen() -> Response:
    """You know what has changed."""
    see_agenda(practitioner_id=practitioner_for(signed_in_account()).id)
    return see_other(url_for("doctor.day"))
