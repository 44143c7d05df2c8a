"""How somebody is seen, and sets of these ways as a column: one bit each, so that a query can ask for one of them."""

from __future__ import annotations

import enum
from collections.abc import Iterable

from sqlalchemy import Dialect, Integer
from sqlalchemy.types import TypeDecorator


class Mode(enum.StrEnum):
    IN_PERSON = "in_person"
    PHONE = "phone"
    VIDEO = "video"
    HOME = "home"


Modes = frozenset[Mode]

# A visit at home is nothing that hours or visit types offer.
MODE_BIT = {Mode.IN_PERSON: 1, Mode.PHONE: 2, Mode.VIDEO: 4}
ALL_MODES: Modes = frozenset(MODE_BIT)
# Nobody has to go anywhere.
REMOTE: Modes = frozenset({Mode.PHONE, Mode.VIDEO})


class ModeSet(TypeDecorator[Modes]):
    """A set of modes in Python, the sum of their bits in the database."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: Iterable[Mode] | None, dialect: Dialect) -> int | None:
        return None if value is None else sum(MODE_BIT[mode] for mode in set(value))

    def process_result_value(self, value: int | None, dialect: Dialect) -> Modes | None:
        return None if value is None else frozenset(mode for mode, bit in MODE_BIT.items() if value & bit)
