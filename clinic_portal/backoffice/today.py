"""The first page of the back office: today in numbers, and what waits for somebody."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flask import url_for
from flask_admin import expose
from sqlalchemy import Select, String, case, func, literal, select, type_coerce

from clinic_portal import clock, wording
from clinic_portal.backoffice import places
from clinic_portal.backoffice.appointments import starts
from clinic_portal.backoffice.lists import COUNTED, Page
from clinic_portal.backoffice.places import Place
from clinic_portal.backoffice.todo import due_today
from clinic_portal.database import db
from clinic_portal.models import Appointment, Delivery, Notification, Status
from clinic_portal.scheduling.hours_requests import count_wishes
from clinic_portal.scheduling.invited import count_lapsing
from clinic_portal.scheduling.line import Show, count_waiting

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
    """What the desk looks at first."""

    @expose("/")  # type: ignore[untyped-decorator]
    def index(self) -> Any:
        return self.render(
            "backoffice/today.html",
            day=wording.date_long(places.today()),
            today=places.today().isoformat(),
            columns=COLUMNS,
            days=self._days(),
            work=self._work(),
        )

    def _days(self) -> list[DayAtPlace]:
        found = {place.id: DayAtPlace(place) for place in places.places_within(self.limit)}
        for location_id, what, count in db.session.execute(self._counts()):
            if location_id in found:
                found[location_id].counts[what] = count
        return list(found.values())

    def _counts(self) -> Select[Any]:
        """One query for all locations; each counts its own calendar day."""
        is_over = (Appointment.status == Status.BOOKED) & (Appointment.ends_at <= clock.now())
        what = case((is_over, literal(NO_OUTCOME)), else_=type_coerce(Appointment.status, String)).label("what")
        today = places.today()
        counted = select(Appointment.location_id, what, func.count()).where(starts(today, today))
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
