"""The calendar: clinicians side by side on a day, or the week of one or two; what is booked and moved from there."""

from __future__ import annotations

import hashlib
from typing import Any

from flask import make_response, render_template, request, session
from flask_admin import expose
from markupsafe import Markup

from clinic_portal import clock
from clinic_portal.backoffice import calendar_board, options, places, words
from clinic_portal.backoffice.calendar_asked import JUMPS, MOST_IN_WEEK, MOST_PICKED, ZOOMS, Asked
from clinic_portal.backoffice.calendar_book import BookForm
from clinic_portal.backoffice.calendar_move import CancelForm, MoveForm
from clinic_portal.backoffice.calendar_rows import clinicians
from clinic_portal.backoffice.calendar_spot import LAST_SEEN
from clinic_portal.backoffice.lists import Page
from clinic_portal.database import db
from clinic_portal.unchanged import kept_while_unchanged
from clinic_portal.web.pages import htmx

LOOKS_EVERY_S = 30
# What depends on the present, like how long somebody waits, is right to so many seconds.
RIGHT_FOR_S = 300
SHORT = 16


class CalendarPage(Page):
    """Who works when, what is free and what is booked."""

    words = words

    @expose("/")  # type: ignore[untyped-decorator]
    def index(self) -> Any:
        known = clinicians()
        asked = Asked.read(self.limit, known)
        is_part = bool(htmx) and not htmx.history_restore_request
        seen = request.args.get("seen", "")
        kept = kept_while_unchanged(db.session())
        key = ("calendar", asked.url(), self.limit, int(clock.now().timestamp()) // RIGHT_FOR_S)
        if is_part and kept.get(key) == seen:
            return _unchanged()
        boards = self._boards(asked, known)
        stamp = hashlib.sha256(boards.encode()).hexdigest()[:SHORT]
        kept[key] = stamp
        if is_part and stamp == seen:
            return _unchanged()
        look_url = f"{asked.url()}&seen={stamp}"
        part = {"boards": boards, "look_url": look_url, "looks_every_s": LOOKS_EVERY_S, "asked": asked}
        if not is_part:
            session[LAST_SEEN] = asked.said()
        page = (
            render_template("backoffice/_calendar.html", **part)
            if is_part
            else self.render("backoffice/calendar.html", **part, **self._around(asked, known))
        )
        response = make_response(page)
        response.vary.add("HX-Request")
        return response

    def _boards(self, asked: Asked, known: list[Any]) -> Markup:
        """What changes by itself; none in a week of nobody."""
        if asked.is_week and not asked.picked:
            return Markup()
        return Markup(  # noqa: S704  # a template of ours
            render_template(
                "backoffice/_calendar_boards.html",
                asked=asked,
                drawn=calendar_board.draw(asked, self.limit, known),
                board_of=calendar_board,
                words=words,
                names=options.names(),
                clinicians={row.id: row for row in known},
            )
        )

    def _around(self, asked: Asked, known: list[Any]) -> dict[str, Any]:
        """The ways to other days, places and people."""
        return {
            "today": places.today(),
            "jumps": JUMPS,
            "zooms": ZOOMS,
            "locations": options.reachable_places(),
            "clinicians": [row for row in known if row.is_active or row.public_id in asked.picked],
            "most_picked": MOST_IN_WEEK if asked.is_week else MOST_PICKED,
            "problems": asked.problems,
        }

    @expose("/book/", methods=("GET", "POST"))  # type: ignore[untyped-decorator]
    def book(self) -> Any:
        """A visit with one clinician at one time."""
        return BookForm(self).answer()

    @expose("/move/", methods=("GET", "POST"))  # type: ignore[untyped-decorator]
    def move(self) -> Any:
        """Another clinician or time for a visit, said before it is done."""
        return MoveForm(self).answer()

    @expose("/cancel/", methods=("GET", "POST"))  # type: ignore[untyped-decorator]
    def cancel(self) -> Any:
        """A visit that will not take place."""
        return CancelForm(self).answer()


def _unchanged() -> Any:
    response = make_response("", 204)
    response.vary.add("HX-Request")
    return response
