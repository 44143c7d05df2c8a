"""A doctor is away: who and when, the plan for every visit, all of it in one go, and what became of it."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from flask import flash, redirect, request, url_for
from flask_admin import expose
from sqlalchemy import select
from sqlalchemy.orm import joinedload, selectinload

from clinic_portal import clock
from clinic_portal.backoffice import absence_words, options, places, words
from clinic_portal.backoffice.absence_form import (
    FIELD,
    PERIODS,
    PROPOSED,
    Asked,
    Chosen,
    reachable,
    read_asked,
    read_chosen,
    read_reason,
    typed,
    write_choice,
)
from clinic_portal.backoffice.lists import Page
from clinic_portal.backoffice.person import staff
from clinic_portal.backoffice.request_acts import read_version
from clinic_portal.database import db
from clinic_portal.errors import (
    BadTransition,
    DomainError,
    InvalidRequest,
    NotAllowed,
    NotFound,
    PlanChanged,
    VersionConflict,
)
from clinic_portal.models import Absence, AbsenceVisit, Appointment, Event, Notification, Recipient, Task, TaskKind
from clinic_portal.scheduling.absence import apply_absence
from clinic_portal.scheduling.absence_plan import Planned, make_plan
from clinic_portal.scheduling.absence_undo import undo_absence
from clinic_portal.scheduling.hours import hours_version
from clinic_portal.web.errors import status_of
from clinic_portal.web.pages import htmx

SHOWN = 20
NOT_HERE = (NotFound, NotAllowed)
GONE = "This cannot be done any more. Choose again."
NEW = "Booked meanwhile."
CHANGED = {"version_conflict": "Somebody has changed these hours meanwhile. Look at the plan as it is now."}
UNCHOSEN: Chosen = Chosen({}, frozenset())


class AwayPage(Page):
    """Whoever is away, and every visit that this touches."""

    words = words

    @expose("/")  # type: ignore[untyped-decorator]
    def index(self) -> Any:
        """Who is away, and from when until when."""
        return self._form()

    @expose("/plan/", methods=("GET", "POST"))  # type: ignore[untyped-decorator]
    def plan(self) -> Any:
        """What is proposed for each visit; adjusted, and applied."""
        try:
            asked = read_asked(request.args, self.limit)
        except InvalidRequest as error:
            return self._form(error)
        if "period" in request.args:
            # From here on the very hours: "the rest of today" would be another in a minute.
            return redirect(self.get_url(".plan", **asked.address()), 303)
        if request.method == "GET":
            return self._plan(asked, UNCHOSEN)
        chosen = read_chosen(request.form)
        if request.form.get("do") != "apply":
            return self._plan(asked, chosen)
        try:
            absence = apply_absence(
                actor=staff(),
                practitioner_id=asked.practitioner.id,
                period=asked.period,
                reason=read_reason(request.form),
                choices=chosen.choices,
                token=request.form.get("token", ""),
                expected_version=read_version(request.form),
            )
        except (InvalidRequest, PlanChanged, VersionConflict) as error:
            return self._plan(asked, chosen, error), status_of(error)
        return redirect(url_for(".details", id=absence.public_id), 303)

    @expose("/details/")  # type: ignore[untyped-decorator]
    def details(self) -> Any:
        """What was done with each visit, what was told, and whom to call."""
        return self._details(self._absence())

    @expose("/undo/", methods=("POST",))  # type: ignore[untyped-decorator]
    def undo(self) -> Any:
        """Take all of it back."""
        absence = self._absence()
        try:
            undone = undo_absence(actor=staff(), absence_id=absence.id, token=request.form.get("token", ""))
        except NOT_HERE:
            raise
        except DomainError as error:
            return self._details(self._absence(), error), status_of(error)
        stays = sum(row.stays_because is not None for row in undone.visits)
        if stays:
            flash(f"Undone, but for {stays} of the appointments: see below.", "error")
        else:
            flash("Undone: everything is as it was, and nobody was told.", "success")
        return redirect(url_for(".details", id=absence.public_id), 303)

    def _form(self, error: InvalidRequest | None = None) -> Any:
        problems = [] if error is None else [{"field": error.facts.get("field", ""), "text": str(error)}]
        page = self.render(
            "backoffice/absence.html",
            clinicians=[(one.public_id, one.name) for one in reachable(self.limit)],
            periods=list(PERIODS.items()),
            typed=typed(request.args),
            absences=self._lately(),
            said=absence_words,
            zone=places.clinic_zone(),
            problems=problems,
        )
        return (page, status_of(error)) if error else page

    def _lately(self) -> list[Absence]:
        ids = [one.id for one in reachable(self.limit)]
        found = select(Absence).where(Absence.practitioner_id.in_(ids)).order_by(Absence.id.desc()).limit(SHOWN)
        loads = (joinedload(Absence.practitioner), joinedload(Absence.exception), selectinload(Absence.visits))
        return list(db.session.scalars(found.options(*loads)))

    def _plan(
        self, asked: Asked, chosen: Chosen, error: InvalidRequest | PlanChanged | VersionConflict | None = None
    ) -> Any:
        facts = {} if error is None else error.facts
        pins, gone, new = chosen.pins(), facts.get("gone", frozenset()), facts.get("new", frozenset())
        if isinstance(error, PlanChanged | VersionConflict):
            # What can still be done stays as it was shown, whoever chose it.
            pins = {id_: choice for id_, choice in chosen.choices.items() if id_ not in gone}
        plan = make_plan(db.session(), asked.away, pins)
        by_hand = chosen.by_hand - gone
        is_part = bool(htmx) and request.method == "POST"
        template = "backoffice/_absence_plan.html" if is_part else "backoffice/absence_plan.html"
        return self.render(
            template,
            asked=asked,
            rows=[self._row(one, by_hand, gone, new) for one in plan.visits],
            summary=absence_words.summary(plan),
            here=plan.here,
            said=absence_words,
            zone=asked.period.zone,
            # Its own while it is only looked at; what was refused is another form.
            token=(request.form.get("token") if error is None else None) or f"absence-{secrets.token_urlsafe(16)}",
            version=hours_version(db.session(), asked.practitioner.id),
            reasons=options.worded(absence_words.REASON),
            reason=request.form.get("reason", ""),
            problems=_problems(error),
        )

    def _row(self, one: Planned, by_hand: frozenset[int], gone: frozenset[int], new: frozenset[int]) -> dict[str, Any]:
        id_ = one.visit.id
        is_by_hand = id_ in by_hand and not one.is_lost
        value = write_choice(one.chosen)
        return {
            "planned": one,
            "visit": one.visit,
            "field": f"{FIELD}{id_}",
            "proposed_field": f"{PROPOSED}{id_}",
            "value": value,
            # Empty once somebody has chosen: then it stays.
            "proposed": "" if is_by_hand else value,
            "groups": list(absence_words.choices(one)),
            "why": absence_words.why(one, by_hand=is_by_hand),
            "news": GONE if id_ in gone or one.is_lost else NEW if id_ in new else "",
        }

    def _absence(self) -> Absence:
        """The absence that the address names. Raises: NotFound, also for somebody out of reach."""
        public_id = request.args.get("id", "")
        loads = (
            joinedload(Absence.practitioner),
            joinedload(Absence.exception),
            joinedload(Absence.created_by),
            selectinload(Absence.visits).joinedload(AbsenceVisit.appointment).options(
                joinedload(Appointment.patient), joinedload(Appointment.visit_type),
                joinedload(Appointment.practitioner), joinedload(Appointment.location),
            ),
        )  # fmt: skip
        known = select(Absence).filter_by(public_id=public_id if public_id.isprintable() else "")
        absence = db.session.scalar(known.options(*loads).execution_options(populate_existing=True))
        if absence is None or absence.practitioner_id not in {one.id for one in reachable(self.limit)}:
            raise NotFound
        return absence

    def _details(self, absence: Absence, error: DomainError | None = None) -> Any:
        now = clock.now()
        rows = sorted(absence.visits, key=lambda row: (row.before["starts_at"], row.id))
        return self.render(
            "backoffice/absence_done.html",
            absence=absence,
            rows=rows,
            before={row.id: _before(row) for row in rows},
            messages=_messages(absence),
            calls=_calls(absence),
            said=absence_words,
            zone=absence.exception.zone,
            can_be_undone=absence.can_be_undone(now),
            token=f"absence-{secrets.token_urlsafe(16)}",
            problems=[] if error is None else [{"field": "undo", "text": _text(error)}],
        )


def _problems(error: DomainError | None) -> list[dict[str, str]]:
    if error is None:
        return []
    return [{"field": error.facts.get("field", "plan"), "text": CHANGED.get(error.code) or str(error)}]


def _text(error: DomainError) -> str:
    return str(error) if isinstance(error, BadTransition | InvalidRequest) else "This cannot be done now. Try again."


def _before(row: AbsenceVisit) -> dict[str, Any]:
    """When and where a visit was."""
    names = options.names()
    when = datetime.fromisoformat(row.before["starts_at"])
    place = next((one for one in places.all_places() if one.id == row.before["location_id"]), None)
    return {
        "when": words.moment(when, place.zone if place else places.clinic_zone()),
        "place": place.name if place else words.NOTHING,
        "with": names["practitioners"].get(row.before["practitioner_id"], words.NOTHING),
    }


def _messages(absence: Absence) -> dict[int, list[Notification]]:
    """What patients are told of it, by the visit or the request that it is about."""
    found: dict[int, list[Notification]] = {}
    told = select(Notification).where(
        Notification.absence_id == absence.id,
        Notification.recipient == Recipient.PATIENT,
        Notification.event != Event.REMINDER,
    )
    for row in db.session.scalars(told.order_by(Notification.id)):
        found.setdefault(row.appointment_id or 0, []).append(row)
    return found


def _calls(absence: Absence) -> dict[int, Task]:
    """Whom somebody still has to call, by visit."""
    ids = [row.appointment_id for row in absence.visits]
    open_calls = select(Task).where(Task.kind == TaskKind.CALL, Task.closed_at.is_(None), Task.appointment_id.in_(ids))
    return {task.appointment_id or 0: task for task in db.session.scalars(open_calls)}
