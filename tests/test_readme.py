"""What the README lists is what the code has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from clinic_portal import demo
from clinic_portal.cli import main
from clinic_portal.config import VARIABLES
from clinic_portal.models import Status
from clinic_portal.settings import DEFINITIONS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def variable_rows() -> list[str]:
    """The table of environment variables, row by row."""
    return [f"| `{each.name}` | {_code(each.default)} | {each.meaning} |" for each in VARIABLES]


def setting_rows() -> list[str]:
    """The table of the clinic's own settings, row by row."""
    return [
        f"| `{each.name}`{' *' if each.per_visit_type else ''} | {_code(each.default)} | {each.unit} | {each.meaning} |"
        for each in DEFINITIONS
    ]


def make_rows() -> list[str]:
    """The table of make targets, from the Makefile's own comments."""
    targets = re.findall(r"^([a-z-]+):.*## (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return [f"| `make {name}` | {meaning} |" for name, meaning in targets]


def cli_rows() -> list[str]:
    """The table of commands, from their own help."""
    return [
        f"| `clinic-portal {name}` | {(command.help or '').strip().splitlines()[0]} |"
        for name, command in main.commands.items()
    ]


def _code(value: object) -> str:
    return f"`{value}`" if value != "" else ""


@pytest.mark.parametrize("rows", [variable_rows, setting_rows, make_rows, cli_rows])
def test_each_table_lists_exactly_what_the_code_has(rows) -> None:  # type: ignore[no-untyped-def]
    listed = [line for line in README.splitlines() if line.startswith("| `")]
    expected = rows()
    assert [row for row in expected if row not in listed] == []


def test_the_tables_list_nothing_else() -> None:
    known = {*variable_rows(), *setting_rows(), *make_rows(), *cli_rows()}
    listed = [
        line for line in README.splitlines() if re.match(r"\| `(make |clinic-portal |[A-Z_]+`|[a-z_]+_[a-z]+`)", line)
    ]
    assert [line for line in listed if line not in known and "`@" not in line and "keep `first_cell`" not in line] == []


def test_the_demo_sign_ins_are_the_ones_told() -> None:
    told = re.findall(r"^\| ([^`|]+?) \| `(\S+@\S+)` \|", README, re.MULTILINE)
    assert told == [(who, email) for who, email, _ in demo.sign_ins()]
    assert {password for _, _, password in demo.sign_ins()} == {"harbour-demo"}


def test_the_statuses_of_a_visit_are_the_ones_told() -> None:
    line = next(line for line in README.splitlines() if "A visit's life" in line)
    assert re.findall(r"`([a-z-]+)`", line) == [status.value for status in Status]


def test_every_picture_is_there() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert pictures
    assert [picture for picture in pictures if not (ROOT / picture).is_file()] == []
