"""Another clinician or time for a visit, by hand or dragged there: old and new are said before anything is done."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from flask import flash, redirect, request
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from clinic_portal import clock
from clinic_portal.backoffice import options, words
from clinic_portal.backoffice.access import note_opening
from clinic_portal.backoffice.calendar_book import ELSEWHERE, told
from clinic_portal.backoffice.calendar_spot import (
    SHAPE,
    Typed,
    calendar_of,
    practitioner_of,
    problem_of,
    read_start,
    zone_of_instant,
)
from clinic_portal.backoffice.lists import Page
from clinic_portal.backoffice.person import staff
from clinic_portal.backoffice.request_acts import REASONS, read_version
from clinic_portal.database import db
from clinic_portal.errors import DomainError, InvalidRequest, NotAllowed, NotFound, VersionConflict
from clinic_portal.models import (
    MAX_NOTE,
    AccessPlace,
    Appointment,
    CancelReason,
    Practitioner,
    PractitionerVisitType,
    Status,
)
from clinic_portal.scheduling import masks
from clinic_portal.scheduling.booking import cancel_appointment
from clinic_portal.scheduling.exactly import Spot, find_room_to_move, move_exactly
from clinic_portal.web.errors import status_of

FIELDS = {"note_refused": "untold_because", "bad_transition": "time"}


@dataclass(frozen=True)
class New:
    """Where a visit would go, in words, and the very instant for the form."""

    when: str
    name: str
    place: str
    clinician: str
    start: str


class VisitForm:
    """A page about one visit that its reader may see."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.visit = self._visit()
        if request.method == "GET":
            note_opening(self.visit.patient_id, AccessPlace.APPOINTMENT)
            self.visit = self._visit()

    def _visit(self) -> Appointment:
        """The visit that the address names, as it is now. Raises: NotFound."""
        public_id, limit = request.args.get("id", ""), self.page.limit
        query = select(Appointment).where(
            Appointment.public_id == (public_id if public_id.isprintable() else ""), Appointment.starts_at.is_not(None)
        )
        if limit is not None:
            query = query.where(Appointment.location_id.in_(limit))
        loads = (
            joinedload(Appointment.patient),
            joinedload(Appointment.visit_type),
            joinedload(Appointment.practitioner),
            joinedload(Appointment.location),
        )
        found = db.session.scalar(query.options(*loads).execution_options(populate_existing=True))
        if found is None or found.practitioner is None or found.location is None:
            raise NotFound
        return found

    @property
    def zone(self) -> str:
        assert self.visit.location is not None
        return self.visit.location.zone

    def show(self, template: str, problems: list[dict[str, str]], status: int, **more: Any) -> Any:
        page = self.page.render(
            template,
            visit=self.visit,
            zone=self.zone,
            when=words.span(self.visit.starts_at, self.visit.ends_at, self.zone),
            is_open=self.visit.status is Status.BOOKED,
            back_url=calendar_of(self.visit.starts_at, self.zone),
            token=secrets.token_urlsafe(16),
            problems=problems,
            **more,
        )
        return (page, status) if status != 200 else page


class MoveForm(VisitForm):
    """Whom and when, what that means, and whether the patient is told."""

    @property
    def is_beyond(self) -> bool:
        """Whether the clinician may get more visits than they have on one day."""
        return request.form.get("beyond") == "yes"

    def answer(self) -> Any:
        typed = Typed.read(request.form if request.method == "POST" else request.args)
        if request.method == "GET" or request.form.get("do") == "look":
            return self._show(typed, self._stale())
        try:
            moved = self._move(typed)
        except (NotFound, NotAllowed):
            raise
        except DomainError as error:
            self.visit = self._visit()
            return self._show(typed, [self._problem(error, typed)], status_of(error))
        assert moved.location is not None
        because = request.form.get("tell") == "no"
        flash(f"Moved: {told(moved)}.{' The patient gets no message.' if because else ''}", "success")
        return redirect(calendar_of(moved.starts_at, moved.location.zone), 303)

    def _stale(self) -> list[dict[str, str]]:
        """A page that was drawn before somebody changed the visit named another version."""
        if "version" not in request.args or read_version(request.args) == self.visit.version:
            return []
        return [problem_of(VersionConflict(), "", self.zone, FIELDS)]

    def _move(self, typed: Typed) -> Appointment:
        form = request.form
        if form.get("tell") not in ("yes", "no"):
            raise InvalidRequest("Say whether the patient is told.", field="tell")
        because = form.get("untold_because", "").strip()
        if form["tell"] == "no" and not because:
            raise InvalidRequest("Say why the patient gets no message: it is kept.", field="untold_because")
        return move_exactly(
            actor=staff(),
            appointment_id=self.visit.id,
            spot=typed.spot(),
            token=form.get("token", ""),
            expected_version=read_version(form),
            untold_because=because if form["tell"] == "no" else None,
            places=self.page.limit,
            beyond_caps=self.is_beyond,
        )

    def _problem(self, error: DomainError, typed: Typed) -> dict[str, str]:
        who, start = practitioner_of(typed.clinician), read_start(typed.start)
        zone = zone_of_instant(who.id, start) if who and start else self.zone
        return problem_of(error, who.name if who else "", zone, FIELDS)

    def _show(self, typed: Typed, problems: list[dict[str, str]], status: int = 200) -> Any:
        new: New | None = None
        if not typed.is_empty and self.visit.status is Status.BOOKED:
            try:
                new = self._new(typed.spot())
            except DomainError as error:
                problem = self._problem(error, typed)
                problems = (
                    problems if any(problem["field"] == one["field"] for one in problems) else [*problems, problem]
                )
        return self.show(
            "backoffice/calendar_move.html",
            problems,
            status,
            spot=self._filled(typed),
            clinicians=self._clinicians(),
            new=new,
            tell=request.form.get("tell", "yes"),
            untold_because=request.form.get("untold_because", ""),
            longest=MAX_NOTE,
            is_beyond=self.is_beyond,
            is_full=any(one["field"] == "beyond" for one in problems),
        )

    def _new(self, spot: Spot) -> New:
        """What the visit would be there. Raises: whatever stands in its way."""
        room, terms = find_room_to_move(db.session(), self.visit, spot, beyond_caps=self.is_beyond)
        if self.page.limit is not None and room.location_id not in self.page.limit:
            raise InvalidRequest(ELSEWHERE, field="clinician")
        ends_at, zone = masks.to_instant(room.visit[1], terms.grid_min), terms.zones[room.location_id]
        who = db.session.get_one(Practitioner, spot.practitioner_id)
        return New(
            words.span(spot.starts_at, ends_at, zone),
            who.name,
            options.names()["locations"][room.location_id],
            who.public_id,
            spot.starts_at.strftime(SHAPE),
        )

    def _filled(self, typed: Typed) -> Typed:
        """What the fields say: what was typed, else how the visit is now."""
        if not typed.is_empty:
            return typed
        assert self.visit.starts_at is not None
        assert self.visit.practitioner is not None
        shown = clock.local(self.visit.starts_at, self.zone)
        return Typed(self.visit.practitioner.public_id, shown.date().isoformat(), f"{shown:%H:%M}", "")

    def _clinicians(self) -> list[tuple[str, str]]:
        """Everybody who does such visits."""
        query = (
            select(Practitioner.public_id, Practitioner.name)
            .join(PractitionerVisitType, PractitionerVisitType.practitioner_id == Practitioner.id)
            .where(
                PractitionerVisitType.visit_type_id == self.visit.visit_type_id,
                PractitionerVisitType.is_active,
                Practitioner.is_active,
            )
        )
        return [(row.public_id, row.name) for row in db.session.execute(query.order_by(Practitioner.name))]


class CancelForm(VisitForm):
    """Why a visit will not take place; the patient and the clinician are told."""

    def answer(self) -> Any:
        if request.method == "GET":
            return self._show([], 200)
        try:
            reason = request.form.get("reason", "")
            if reason not in REASONS:
                raise InvalidRequest("Choose why.", field="reason")
            cancel_appointment(
                actor=staff(),
                appointment_id=self.visit.id,
                token=request.form.get("token", ""),
                reason=CancelReason(reason),
            )
        except (NotFound, NotAllowed):
            raise
        except DomainError as error:
            self.visit = self._visit()
            return self._show([problem_of(error, "", self.zone, {"bad_transition": ""})], status_of(error))
        flash(f"Cancelled: {told(self._visit())}.", "success")
        return redirect(calendar_of(self.visit.starts_at, self.zone), 303)

    def _show(self, problems: list[dict[str, str]], status: int) -> Any:
        return self.show(
            "backoffice/calendar_cancel.html",
            problems,
            status,
            reasons=[(one.value, words.CANCEL_REASON[one].capitalize()) for one in REASONS],
            chosen=request.form.get("reason", ""),
        )
