"""The fields above a list that narrow it: a day, or one of several values. Each makes one condition."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from flask_admin.contrib.sqla.filters import BaseSQLAFilter
from sqlalchemy import ColumnElement

from clinic_portal import clock

Options = list[tuple[str, str]]


class Narrowing(BaseSQLAFilter):  # type: ignore[misc]  # the library is untyped
    """One field: its name in addresses, its label, and the condition that a value makes."""

    kind = "date"
    complaint = "must be a date"

    def __init__(self, key: str, label: str, column: Any, condition: Callable[[Any], ColumnElement[bool]]) -> None:
        super().__init__(column, label)
        self.key = key
        self.condition = condition

    def operation(self) -> str:
        return self.key

    def choices(self) -> Options:
        return []


class Day(Narrowing):
    """A calendar day."""

    def clean(self, value: str) -> date:
        found = date.fromisoformat(value)
        if found.year not in clock.YEARS:
            raise ValueError(value)
        return found


class Choice(Narrowing):
    """One value of a list."""

    kind = "select"
    complaint = "must be one of the list"

    def __init__(
        self,
        key: str,
        label: str,
        column: Any,
        options: Callable[[], Options],
        condition: Callable[[Any], ColumnElement[bool]] | None = None,
    ) -> None:
        super().__init__(key, label, column, condition or (lambda value: column == value))
        self.choices_of = options

    def choices(self) -> Options:
        return self.choices_of()

    def clean(self, value: str) -> Any:
        if value not in dict(self.choices()):
            raise ValueError(value)
        return int(value) if value.isdecimal() else value
