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
from clinic_portal.errors import BadTransition, DomainError, InvalidRequest, NotFound, VersionConflict
from clinic_portal.languages import N_, _
from clinic_portal.models import ACTIVE, Appointment, ClinicSession, Mode, RoleName, Status
from clinic_portal.scheduling.booking import change_status
from clinic_portal.scheduling.running import call_in, run_late, see_agenda
from clinic_portal.web import see_other
from clinic_portal.wording import say

ARRIVED, CALLED, SEEN, NO_SHOW, UNDO = "arrived", "called", "seen", "no_show", "undo"
WORDS = {
    ARRIVED: N_("Arrived"),
    CALLED: N_("With me now"),
    SEEN: N_("Seen"),
    NO_SHOW: N_("Did not come"),
    UNDO: N_("Undo"),
}
REMOTE = (Mode.PHONE, Mode.VIDEO)


@dataclass(frozen=True)
class Step:
    """A button beside a visit."""

    code: str
    words: str
    is_main: bool


def steps_for(visit: Appointment, now: datetime) -> list[Step]:
    """What can be noted of a visit now; the likeliest first. What is noted is undone on the same day only."""
    codes = _codes(visit, now)
    return [Step(code, WORDS[code], index == 0 and code != UNDO) for index, code in enumerate(codes)]


def _codes(visit: Appointment, now: datetime) -> list[str]:
    if visit.starts_at is None or visit.location is None:
        return []
    zone = visit.location.zone
    is_today = clock.local_date(visit.starts_at, zone) == clock.local_date(now, zone)
    if visit.status is Status.BOOKED:
        ahead = clock.local_date(visit.starts_at, zone) > clock.local_date(now, zone)
        noted = [] if ahead else [SEEN if visit.mode in REMOTE else ARRIVED]
        return [*noted, *([NO_SHOW] if visit.starts_at <= now else [])]
    if visit.status is Status.ARRIVED:
        return [*([CALLED] if visit.called_at is None else []), SEEN, *([UNDO] if is_today else [])]
    return [UNDO] if is_today and visit.status in (Status.FULFILLED, Status.NOSHOW) else []


@blueprint.post("/visits/<public_id>/step")
@roles_required(RoleName.PRACTITIONER)
def step(public_id: str) -> Response:
    """Note what has become of one of your visits. Done already is as good as done now."""
    visit = _own_visit(public_id)
    code, back_url = request.form.get("step", ""), _day_of(visit)
    if code not in WORDS:
        raise InvalidRequest(N_("Press one of the buttons beside the visit."))
    try:
        _carry_out(visit, code)
    except VersionConflict:
        flash(_("Somebody has noted something of this visit meanwhile. This is how it stands."), "info")
    except DomainError as error:
        if error.code in ("not_found", "not_allowed"):
            raise
        flash(say(error), "error")
    return see_other(back_url)


def _carry_out(visit: Appointment, code: str) -> None:
    if code not in _codes(visit, clock.now()):
        raise BadTransition(N_("This cannot be noted of the visit as it stands."), current=visit.status.value)
    actor = actor_of(signed_in_account())
    if code == CALLED or (code == UNDO and visit.called_at is not None and visit.status is Status.ARRIVED):
        call_in(actor=actor, appointment_id=visit.id, is_in=code == CALLED, expected_version=_version())
        return
    change_status(actor=actor, appointment_id=visit.id, to=_status_after(visit, code), expected_version=_version())


def _status_after(visit: Appointment, code: str) -> Status:
    if code == UNDO:
        return Status.ARRIVED if visit.status is Status.FULFILLED else Status.BOOKED
    return {ARRIVED: Status.ARRIVED, SEEN: Status.FULFILLED, NO_SHOW: Status.NOSHOW}[code]


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
