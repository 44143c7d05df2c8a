"""Requests: everybody who waits for a time, in the order of the queue, and each of them with what can be done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from flask import flash, make_response, redirect, request, url_for
from flask_admin import expose
from sqlalchemy import func, select

from clinic_portal import clock
from clinic_portal.accounts import STAFF
from clinic_portal.backoffice import options, places, request_words, words
from clinic_portal.backoffice.access import location_limit, note_opening
from clinic_portal.backoffice.lists import Page
from clinic_portal.backoffice.request_acts import carry_out, form_again
from clinic_portal.backoffice.request_lists import ENDED, PAGE, Asked
from clinic_portal.backoffice.request_page import about_request, find_request
from clinic_portal.backoffice.request_times import place, times_to_choose, told_placed
from clinic_portal.database import db
from clinic_portal.errors import DomainError, NotAllowed, NotFound
from clinic_portal.models import AccessPlace, Appointment, Attempt
from clinic_portal.scheduling.line import InLine, Show, count_each, count_waiting, ended_requests, staff_queue
from clinic_portal.web.errors import status_of
from clinic_portal.web.pages import htmx

ENDED_FOR = timedelta(days=7)
# Refusals that say no more than that there is nothing here for whoever asks.
NOT_HERE = (NotFound, NotAllowed)


def count_for_person() -> int:
    """How many requests need somebody at the places that the person looking reaches."""
    return count_waiting(db.session(), Show.PERSON, places=location_limit(STAFF))


class RequestsPage(Page):
    """The line of those who wait, and one request with its forms."""

    words = words

    @expose("/")  # type: ignore[untyped-decorator]
    def index(self) -> Any:
        wants_part = bool(htmx) and not htmx.history_restore_request
        template = "backoffice/_requests.html" if wants_part else "backoffice/requests.html"
        response = make_response(self.render(template, **self._list()))
        response.vary.add("HX-Request")
        return response

    def _list(self) -> dict[str, Any]:
        asked = Asked.read()
        counts = count_each(db.session(), asked.priority, self.limit)
        count, rows = self._ended(asked) if asked.is_ended else self._line(asked, counts[asked.show])
        return {
            "rows": rows,
            "first_place": asked.start + 1,
            "tries": _tries(rows),
            "count": count,
            "page": asked.page,
            "num_pages": -(-count // PAGE),
            "pager_url": lambda number: asked.url(page=number),
            "tabs": _tabs(asked, counts),
            "asked": asked,
            "classes": options.worded(words.PRIORITY),
            "zone": places.clinic_zone(),
            "today": places.today(),
            "now": clock.now(),
            "said": request_words,
            "problems": asked.problems,
        }

    def _line(self, asked: Asked, count: int) -> tuple[int, Sequence[InLine | Appointment]]:
        asked.keep_within(count)
        return count, staff_queue(
            db.session(),
            show=asked.show,
            priority=asked.priority,
            places=self.limit,
            start=asked.start,
            most=PAGE,
        )

    def _ended(self, asked: Asked) -> tuple[int, Sequence[InLine | Appointment]]:
        every = ended_requests(db.session(), clock.now() - ENDED_FOR, self.limit)
        ended = [visit for visit in every if asked.priority in (None, visit.priority_class)]
        asked.keep_within(len(ended))
        return len(ended), ended[asked.start : asked.start + PAGE]

    @expose("/details/", methods=("GET", "POST"))  # type: ignore[untyped-decorator]
    def details(self) -> Any:
        """One request, and everything that can be done with it."""
        return self._page(_carry_out, self._show)

    @expose("/times/", methods=("GET", "POST"))  # type: ignore[untyped-decorator]
    def times(self) -> Any:
        """Place a request by hand: which times are free, within what was wished and outside of it."""
        return self._page(_place, self._show_times)

    def _page(self, act: Callable[[Appointment], tuple[str, str]], show: Callable[..., Any]) -> Any:
        """Show a page about the request, or do what its form asks for.

        Args: act, does it, and says what was done and where to go on; show, the page, with what was refused.
        """
        visit = self._request()
        if request.method == "GET":
            note_opening(visit.patient_id, AccessPlace.APPOINTMENT)
            return show(self._request())
        try:
            news, url = act(visit)
        except NOT_HERE:
            raise
        except DomainError as error:
            return show(self._request(), error), status_of(error)
        flash(news, "success")
        return redirect(url, 303)

    def _request(self) -> Appointment:
        """The request that the address names, also one that has ended.

        Raises: NotFound.
        """
        return find_request(request.args.get("id", ""), self.limit)

    def _show(self, visit: Appointment, error: DomainError | None = None) -> Any:
        return self.render("backoffice/request.html", **about_request(visit), **form_again(error, request.form))

    def _show_times(self, visit: Appointment, error: DomainError | None = None) -> Any:
        return self.render("backoffice/request_times.html", **times_to_choose(visit, error, request.values))


def _carry_out(visit: Appointment) -> tuple[str, str]:
    return carry_out(visit, request.form), url_for(".details", id=visit.public_id)


def _place(visit: Appointment) -> tuple[str, str]:
    placed = place(visit, request.form)
    return told_placed(placed), url_for("backoffice_appointments.details_view", id=placed.public_id)


def _tabs(asked: Asked, counts: dict[Show, int]) -> list[tuple[str, str, str, int | None]]:
    """Each list: its name in addresses, its words, its address, and how many are in it."""
    lists: list[tuple[str, str, str, int | None]] = [
        (show.value, request_words.SHOW[show], asked.url(show=show.value), counts[show]) for show in Show
    ]
    return [*lists, (ENDED, "Ended lately", asked.url(show=ENDED), None)]


def _tries(rows: Sequence[InLine | Appointment]) -> dict[int, int]:
    """How often each was tried."""
    ids = [(row.appointment if isinstance(row, InLine) else row).id for row in rows]
    found = select(Attempt.appointment_id, func.count()).where(Attempt.appointment_id.in_(ids))
    return {row[0]: row[1] for row in db.session.execute(found.group_by(Attempt.appointment_id))}
