"""What every kind of database has to do for a backup."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# Of each table how many rows it has, and a number made of all that stands in them.
Rows = dict[str, tuple[int, str]]


class BackupError(Exception):
    """A backup could not be made or brought back; the text says why and what to do."""


@dataclass(frozen=True)
class Kind:
    """How one kind of database is copied and brought back; each takes the database's address first.

    `load` hands what it has brought back to its last argument, which raises when it is not what it should be; then
    nothing stays in the database.
    """

    name: str
    dump: Callable[[str, Path], Rows]
    refuse_unless_empty: Callable[[str], None]
    load: Callable[[str, Path, Callable[[Rows], None]], None]
