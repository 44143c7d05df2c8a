"""Which of the lists of requests somebody looks at: what an address asks for, and the addresses of the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flask import request, url_for

from clinic_portal.models import PriorityClass
from clinic_portal.scheduling.line import Show

PAGE = 50
ENDED = "ended"


@dataclass
class Asked:
    """Which list, which class and which page the address asks for; what makes no sense is left out and told."""

    show: Show = Show.ALL
    is_ended: bool = False
    priority: PriorityClass | None = None
    page: int = 0
    problems: list[dict[str, str]] = field(default_factory=list)

    @classmethod
    def read(cls) -> Asked:
        found, values = cls(), request.args
        shown, priority = values.get("show", "").strip(), values.get("class", "").strip()
        found.is_ended = shown == ENDED
        if shown in set(Show):
            found.show = Show(shown)
        elif shown not in ("", ENDED):
            found.problems.append({"field": "lists", "text": "There is no such list; this is everybody."})
        if priority in set(PriorityClass):
            found.priority = PriorityClass(priority)
        elif priority:
            found.problems.append({"field": "class", "text": "Class must be one of the list; the list leaves it out."})
        found.page = max(values.get("page", 0, type=int), 0)
        return found

    @property
    def shown(self) -> str:
        return ENDED if self.is_ended else self.show.value

    @property
    def start(self) -> int:
        """How many rows stand before the page."""
        return self.page * PAGE

    def keep_within(self, count: int) -> None:
        """No page is beyond the last one."""
        self.page = min(self.page, max(0, (count - 1) // PAGE))

    def url(self, show: str | None = None, page: int = 0) -> str:
        """The address of the same with another list or page."""
        shown = show or self.shown
        said: dict[str, Any] = {"show": "" if shown == Show.ALL else shown, "class": self.priority, "page": page}
        return url_for(".index", **{name: value for name, value in said.items() if value})
