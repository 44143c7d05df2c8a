"""For which kinds of visits hours are, as a column of which a query can ask whether it lets one of them in."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Dialect, String, Text, bindparam, or_, type_coerce
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.types import TypeDecorator

VisitTypeIds = frozenset[int]
# No kind is named: the hours are for every one that their practitioner does, now and later.
ALL_VISIT_TYPES: VisitTypeIds = frozenset()


class VisitTypeSet(TypeDecorator[VisitTypeIds]):
    """Ids of visit types in Python, ",3,7," in the database."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Iterable[int] | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        ids = sorted(set(value))
        return f",{','.join(map(str, ids))}," if ids else ""

    def process_result_value(self, value: str | None, dialect: Dialect) -> VisitTypeIds | None:
        return None if value is None else frozenset(int(one) for one in value.split(",") if one)


def lets_in(column: InstrumentedAttribute[VisitTypeIds]) -> ColumnElement[bool]:
    """Whether hours are for the visit type that `let_in` writes down for the parameter `let_in`."""
    ids = type_coerce(column, String)
    return or_(ids == "", ids.like(bindparam("let_in", type_=String)))


def let_in(visit_type_id: int) -> dict[str, str]:
    """The parameter of `lets_in`."""
    return {"let_in": f"%,{visit_type_id},%"}
