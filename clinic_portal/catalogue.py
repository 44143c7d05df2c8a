"""What every page asks for and a clinic rarely changes: settings, visit types, places, and who does what.

It is kept in memory, and used only while the database proves that none of it has changed: triggers on these tables put
a new random stamp into one row, in the transaction of the change itself. A stamp is never used twice, so what was read
under it stays right for everybody who reads the same stamp: other processes, and a transaction that sees its own
changes before they are committed or given up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar, TypeVarTuple

from sqlalchemy import Executable, Table, select
from sqlalchemy.orm import Session
from sqlalchemy.sql import visitors

from clinic_portal.database import remembered, run
from clinic_portal.models import CatalogueStamp

Args = TypeVarTuple("Args")
R = TypeVar("R")

# The tables with such triggers.
WATCHED = frozenset(
    {
        "settings",
        "visit_types",
        "visit_type_texts",
        "locations",
        "location_texts",
        "practitioners",
        "practitioner_visit_types",
    }
)

_STAMP = select(CatalogueStamp.value)


class _Kept(NamedTuple):
    """What was read under one stamp, by who asked and with what."""

    stamp: str
    found: dict[Any, Any]


_newest = _Kept("", {})


class Catalogue(NamedTuple):
    """These tables as one transaction sees them."""

    session: Session
    found: dict[Any, Any]

    def rows(self, statement: Executable, **values: Any) -> Sequence[Any]:
        """The rows of a prepared statement that reads these tables only."""
        key = (statement, *values.values())
        if key not in self.found:
            _check(statement)
            self.found[key] = run(self.session, statement, values).all()
        rows: Sequence[Any] = self.found[key]
        return rows

    def made(self, make: Callable[[Catalogue, *Args], R], *args: *Args) -> R:
        """What a function makes of these tables and nothing else; nobody may change it."""
        key = (make, *args)
        if key not in self.found:
            self.found[key] = make(self, *args)
        result: R = self.found[key]
        return result


def catalogue(session: Session) -> Catalogue:
    """What is kept, if it still stands; one small statement, and none the second time while a page only reads.

    # Race: the stamp is read before the data. Whoever changes the data meanwhile puts another stamp, so that what we
    # keep under the old one is not used any more.
    """
    global _newest
    memory = remembered(session)
    stamp = memory.get(_STAMP) if memory is not None else None
    if stamp is None:
        stamp = run(session, _STAMP).scalar_one()
        if memory is not None:
            memory[_STAMP] = stamp
    kept = _newest
    if kept.stamp != stamp:
        kept = _newest = _Kept(stamp, {})
    return Catalogue(session, kept.found)


@lru_cache(maxsize=256)
def _check(statement: Any) -> None:
    """A table without the triggers would be served stale: a bug, told at once."""
    tables = {each.name for each in visitors.iterate(statement) if isinstance(each, Table)}
    if tables - WATCHED:
        raise RuntimeError(f"the catalogue does not watch {sorted(tables - WATCHED)}")
