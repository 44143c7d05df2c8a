"""The search box on every page of the back office. What is typed never stands in an address."""

from __future__ import annotations

from typing import Any

from flask import request
from flask_admin import expose

from clinic_portal.backoffice import finding, places, words
from clinic_portal.backoffice.appointments import zone_of
from clinic_portal.backoffice.lists import LONGEST_SEARCH, Page
from clinic_portal.web.pages import htmx


class SearchPage(Page):
    """Patients and a visit, by what somebody says of themselves on the phone; not in the menu."""

    def __init__(self) -> None:
        super().__init__(name="Search", endpoint="backoffice_search", url="search")

    def is_visible(self) -> bool:
        return False

    @expose("/", methods=("GET", "POST"))  # type: ignore[untyped-decorator]
    def index(self) -> Any:
        """A page to search on; after a form the same with what was found, or only that for the box."""
        text = request.form.get("search", "").strip()[:LONGEST_SEARCH]
        results = finding.look_for(text, self.limit) if text else None
        template = "backoffice/_found.html" if htmx and request.method == "POST" else "backoffice/search.html"
        return self.render(
            template,
            typed=text,
            results=results,
            most=finding.MOST,
            words=words,
            today=places.today(),
            zone_of=zone_of,
            problems=[],
        )
