"""Every page, judged by the Nu HTML checker: as it is opened, with its form sent empty, and each page of an error."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from clinic_portal.languages import LANGUAGES
from tests.addresses import ADDRESSES, LINK, filled, methods_of
from tests.belongings import Belongings
from tests.checkers import JAR, missing_for_html
from tests.rare_pages import error_pages, rare_pages
from tests.visitor import Visitor

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def checker() -> None:
    """Without Java these tests are skipped, and the run says so in one loud line."""
    if lacks := missing_for_html():
        pytest.skip(f"!!! {lacks}: THE HTML CHECKS ARE SKIPPED !!!")


# What the checker says and we do not follow.
ON_PURPOSE = re.compile(
    # Tables become blocks on narrow screens, for which some browsers take their meaning away: the roles give it back.
    r"The “(?:table|row|rowgroup|cell|columnheader|rowheader)” role is unnecessary"
    r"|The “role” attribute must not be used on a “t[drh]” element"
    # JAWS reads a description of a group of boxes only where the group says that it is one.
    r"|The “group” role is unnecessary for element “fieldset”"
)
# Mail programs lay tables out by these attributes.
MAILS = re.compile(r"/mails/\{mail\}/html|/texts?/mail/")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_and_every_form_sent_empty_is_valid(
    app: Flask, belongings: Belongings, tmp_path: Path, language: str
) -> None:
    pages = dict(pages_of_addresses(app, belongings, language))
    assert len(pages) > 80
    assert judged(pages, tmp_path) == []


def test_pages_of_refusals_and_faults_are_valid(app: Flask, belongings: Belongings, tmp_path: Path) -> None:
    pages = dict([*rare_pages(belongings), *error_pages(app)])
    assert {403, 404, 409, 410, 422, 429, 500, 503} <= {answer.status_code for answer in pages.values()}
    assert judged(pages, tmp_path) == []


def test_the_checker_finds_what_is_wrong(tmp_path: Path) -> None:
    page = "<!DOCTYPE html><html lang=en><title>A</title><p id=a>{}</p></html>"
    assert list(checked([page.format("a")], tmp_path)) == []
    faults = list(checked([page.format("a"), page.format("<b id=a>a</b>")], tmp_path))
    assert {number for number, _ in faults} == {1}
    assert "Duplicate ID" in faults[0][1]


def pages_of_addresses(app: Flask, belongings: Belongings, language: str) -> Iterator[tuple[str, TestResponse]]:
    """What each address shows to whom it is for, to nobody, and to somebody else."""
    wish = {"Accept-Language": language}
    for address, door in ADDRESSES.items():
        owner = None if door is LINK else door.owner
        for method in methods_of(app, address):
            for who in dict.fromkeys((owner, None, "mallory")):
                visitor = Visitor(app, who)
                data = {"csrf_token": visitor.csrf_token()} if method == "POST" else None
                yield (
                    f"{method} {address} as {who}",
                    visitor.open(filled(address, belongings.ids), method, data=data, headers=wish),
                )
                if method == "POST":
                    belongings.start_again()


def judged(pages: dict[str, TestResponse], folder: Path) -> list[str]:
    """What the checker says of these pages, errors and warnings alike; each different page is read once."""
    names: dict[str, str] = {}
    for name, answer in pages.items():
        if answer.mimetype == "text/html" and answer.text.strip() and not MAILS.search(name):
            names.setdefault(without_chance(answer.text), f"{name} ({answer.status_code})")
    return [f"{list(names.values())[number]}: {fault}" for number, fault in checked(list(names), folder)]


def checked(texts: list[str], folder: Path) -> Iterator[tuple[int, str]]:
    """Which text has which fault."""
    for number, text in enumerate(texts):
        (folder / f"{number}.html").write_text(text)
    command = ["java", "-jar", str(JAR), "--format", "json", "--stdout", "--exit-zero-always", str(folder)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    for fault in json.loads(run.stdout)["messages"]:
        if not ON_PURPOSE.match(fault["message"]):
            yield int(Path(fault["url"]).stem), f"{fault['message']} {fault.get('extract', '')!r}"


def without_chance(text: str) -> str:
    """The page without what is different each time, so that the same page is not read a hundred times."""
    return re.sub(r'(name="(?:csrf_token|token)"[^>]* value=)"[^"]*"', r'\1"x"', text)
