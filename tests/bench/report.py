"""Tables of plain text."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Sequence
from importlib.metadata import version

from tests.bench.crew import Outcome

LIBRARIES = ("Flask", "SQLAlchemy", "psycopg", "granian")


def machine() -> str:
    """The machine and what runs on it, in one line."""
    parts = [f"{os.cpu_count()} cores", platform.machine(), platform.system(), f"Python {platform.python_version()}"]
    parts += [f"SQLite {sqlite3.sqlite_version}", *(f"{name} {version(name)}" for name in LIBRARIES)]
    return ", ".join(parts)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they must be: words to the left, figures to the right."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [[head, ["-" * width for width in widths]], rows]
    return "\n".join(
        "  ".join(cell.ljust(width) if column == 0 else cell.rjust(width)
                  for column, (cell, width) in enumerate(zip(line, widths, strict=True))).rstrip()
        for group in lines for line in group
    )  # fmt: skip


HEAD = ("", "at once", "per second", "p50 ms", "p99 ms", "what came of it")


def row(name: str, outcome: Outcome, word: str) -> list[str]:
    """One line of a table: how many a second ended with this word, how long these took, and all the words."""
    counts = ", ".join(f"{count} {other}" for other, count in sorted(outcome.counts().items()))
    return [
        name, str(outcome.workers), rate(outcome.per_second(word)),
        ms(outcome.quantile_ms(word, 0.5)), ms(outcome.quantile_ms(word, 0.99)), counts,
    ]  # fmt: skip


def rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def ms(value: float) -> str:
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratio(part: float, whole: float) -> str:
    return f"{part / whole:.3f}" if whole else "-"
