"""The first page of the back office, open all day: everybody of today at one place, and what waits for somebody."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

from flask import flash, make_response, request, url_for
from flask import session as browser
from flask_admin import expose
from sqlalchemy import ColumnElement, Select, String, case, func, literal, select, type_coerce
from sqlalchemy.orm import joinedload

from clinic_portal import clock, wording
from clinic_portal.backoffice import places, words
from clinic_portal.backoffice.appointments import starts
from clinic_portal.backoffice.desk_day import OVER, PART_WORDS, STEP_WORDS, Part, read_desk_day
from clinic_portal.backoffice.lists import COUNTED, Page
from clinic_portal.backoffice.person import read_id, staff
from clinic_portal.backoffice.places import Place
from clinic_portal.backoffice.request_acts import read_version
from clinic_portal.backoffice.todo import due_today
from clinic_portal.database import db
from clinic_portal.errors import DomainError, InvalidRequest, NotAllowed, NotFound, VersionConflict
from clinic_portal.models import Appointment, ClinicSession, Delivery, Notification, Status, WalkInTicket
from clinic_portal.scheduling.day_steps import DayStep, take_step
from clinic_portal.scheduling.hours_requests import count_wishes
from clinic_portal.scheduling.invited import count_lapsing
from clinic_portal.scheduling.line import Show, count_waiting
from clinic_portal.scheduling.running import LATE_STEP_MIN, LATEST_MIN, run_late
from clinic_portal.web import see_other
from clinic_portal.web.pages import htmx, settings_in_force

# A visit whose time has passed while it is still "booked": somebody has to say how it went (UC7.8).
NO_OUTCOME = "no_outcome"
COLUMNS = (
    (Status.BOOKED.value, "Still to come"),
    (Status.ARRIVED.value, "Arrived"),
    (Status.FULFILLED.value, "Seen"),
    (NO_OUTCOME, "No outcome yet"),
    (Status.NOSHOW.value, "Did not come"),
    (Status.CANCELLED.value, "Cancelled"),
)
# Which place somebody works at, kept with the sign-in.
PLACE = "desk_place"
LOOKS_EVERY_S = 30
CHANGED = "Somebody has noted something of this visit meanwhile. This is how it stands."


@dataclass
class DayAtPlace:
    """How many visits a location has today, by what has become of them."""

    place: Place
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Work:
    """Something that waits for the desk: how much of it, and where the list is."""

    text: str
    count: int
    href: str

    @property
    def shown(self) -> str:
        return f"{COUNTED:,} or more" if self.count >= COUNTED else str(self.count)


class Today(Page):
    """What the desk looks at all day."""

    words = words

    @expose("/")  # type: ignore[untyped-decorator]
    def index(self) -> Any:
        """The day at one place, which looks again by itself; whatever is on the page stays as it is."""
        wants_part = bool(htmx) and not htmx.history_restore_request
        context = self._day() if wants_part else {**self._day(), **self._around()}
        response = make_response(self.render(f"backoffice/{'_desk' if wants_part else 'today'}.html", **context))
        response.vary.add("HX-Request")
        return response

    @expose("/step/", methods=("POST",))  # type: ignore[untyped-decorator]
    def step(self) -> Any:
        """Note what has become of a visit. Done already is as good as done now."""
        visit, code = find_visit(request.args.get("id", ""), self.limit), request.form.get("step", "")
        if code not in set(DayStep):
            raise InvalidRequest("Press one of the buttons beside the visit.")
        token, version = request.form.get("token", ""), read_version(request.form)
        try:
            take_step(actor=staff(), visit=visit, step=DayStep(code), token=token, expected_version=version)
        except VersionConflict:
            flash(CHANGED, "info")
        except (NotFound, NotAllowed):
            raise
        except DomainError as error:
            flash(str(error), "error")
        return see_other(address_of_line(visit))

    @expose("/late/", methods=("POST",))  # type: ignore[untyped-decorator]
    def late(self) -> Any:
        """Say how late a session of today runs."""
        if not request.form.get("session"):
            raise InvalidRequest("Choose the session.")
        row = db.session.get(ClinicSession, read_id(request.form["session"]))
        if row is None or (self.limit is not None and row.location_id not in self.limit):
            raise NotFound
        minutes = request.form.get("late_min", "")
        try:
            late_min = int(minutes) if minutes.isascii() and minutes.isdecimal() and len(minutes) < 5 else -1
            run_late(actor=staff(), session_id=row.id, late_min=late_min)
        except InvalidRequest as error:
            flash(str(error), "error")
        else:
            flash("Noted. Patients who are still to come see it.", "success")
        return see_other(self.get_url(".index"))

    def _day(self) -> dict[str, Any]:
        place, token = self._place(), secrets.token_urlsafe(16)
        return {
            "place": place,
            "day": read_desk_day(db.session(), place, settings_in_force()) if place else None,
            "shown_parts": [part for part in Part if part not in OVER],
            "over_parts": OVER,
            "part_words": PART_WORDS,
            "today": places.today() if place is None else clock.local_date(clock.now(), place.zone),
            "now": clock.now(),
            "looks_every_s": LOOKS_EVERY_S,
            "token_of": lambda visit: f"{token}-{visit.id}",
        }

    def _around(self) -> dict[str, Any]:
        """What stands around the day, and is not looked at again by itself."""
        place = self._place()
        today = places.today() if place is None else clock.local_date(clock.now(), place.zone)
        return {
            "day_name": wording.date_long(today),
            "places": places.places_within(self.limit),
            "lateness": range(0, LATEST_MIN + 1, LATE_STEP_MIN),
            "keys": [(key, text) for text, key in STEP_WORDS.values() if key],
            "columns": COLUMNS,
            "days": self._days(),
            "work": self._work(),
            "problems": [],
        }

    def _place(self) -> Place | None:
        """The place that was chosen, now or before; else the first that the person looking reaches."""
        reached = {str(place.id): place for place in places.places_within(self.limit)}
        chosen = request.args.get("location", "")
        if chosen in reached:
            browser[PLACE] = chosen
        first = next(iter(reached.values()), None)
        return reached.get(browser.get(PLACE, ""), first)

    def _days(self) -> list[DayAtPlace]:
        found = {place.id: DayAtPlace(place) for place in places.places_within(self.limit)}
        today = WalkInTicket.day == places.today()
        without_time = Appointment.starts_at.is_(None) & Appointment.id.in_(
            select(WalkInTicket.appointment_id).where(today)
        )
        for which in (starts(places.today(), places.today()), without_time):
            for location_id, what, count in db.session.execute(self._counts(which)):
                if location_id in found:
                    counts = found[location_id].counts
                    counts[what] = counts.get(what, 0) + count
        return list(found.values())

    def _counts(self, which: ColumnElement[bool]) -> Select[Any]:
        """One query for all locations; each counts its own calendar day."""
        is_over = (Appointment.status == Status.BOOKED) & (Appointment.ends_at <= clock.now())
        what = case((is_over, literal(NO_OUTCOME)), else_=type_coerce(Appointment.status, String)).label("what")
        counted = select(Appointment.location_id, what, func.count()).where(which)
        # By its name: Postgres would take the same expression with other parameters for another one.
        return counted.group_by(Appointment.location_id, "what")

    def _work(self) -> list[Work]:
        messages, requests = f"{self.admin.url}/messages/?delivery=", f"{self.admin.url}/requests/"
        session, failed = db.session(), Delivery.FAILED
        needing = count_waiting(session, Show.PERSON, places=self.limit)
        return [
            Work("Things to do today", _bounded_count(due_today(self.limit)), f"{self.admin.url}/todo/"),
            Work("Requests that need a person", needing, f"{requests}?show={Show.PERSON}"),
            Work("Requests without a time", count_waiting(session, places=self.limit), requests),
            Work("Invitations that lapse soon", count_lapsing(session), f"{self.admin.url}/invitations/"),
            Work("Changes of hours to agree to", count_wishes(session, self.limit), url_for("rota.everybody")),
            Work("Messages that could not be sent", self._messages(failed), f"{messages}{failed}"),
        ]

    def _messages(self, delivery: Delivery) -> int:
        query = select(Notification.id).where(Notification.delivery == delivery)
        if self.limit is not None:
            query = query.join(Notification.appointment).where(Appointment.location_id.in_(self.limit))
        return _bounded_count(query)


def _bounded_count(query: Select[Any]) -> int:
    return db.session.scalar(select(func.count()).select_from(query.limit(COUNTED).subquery())) or 0


def find_visit(public_id: str, limit: frozenset[int] | None) -> Appointment:
    """A visit at a place that the person looking reaches.

    Raises: NotFound.
    """
    query = select(Appointment).where(Appointment.public_id == (public_id if public_id.isprintable() else ""))
    if limit is not None:
        query = query.where(Appointment.location_id.in_(limit))
    found = db.session.scalar(query.options(joinedload(Appointment.location)))
    if found is None:
        raise NotFound
    return found


def address_of_line(visit: Appointment) -> str:
    """The day, at the line of a visit."""
    return url_for("backoffice.index", _anchor=f"v-{visit.public_id}")
