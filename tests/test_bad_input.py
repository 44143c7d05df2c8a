"""Bad input in every place that reads any: parts of addresses, queries and forms of every page there is.

Which names a page asks for is heard while it answers, so that nothing has to be listed here.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.addresses import ADDRESSES, LINK, Door, filled, methods_of, names_in
from tests.bad_input import BAD, STRANGE_NAMES, listening, what_is_wrong_with
from tests.belongings import Belongings
from tests.visitor import Visitor, forms_of

SEED = 20261125
Pairs = list[tuple[str, str | bytes]]


@dataclass(frozen=True)
class Try:
    """One request with something bad in it: in the address's path or query, or in a form."""

    path: str
    query: Pairs
    form: Pairs | None = None

    def __str__(self) -> str:
        return f"{self.path[:80]} query {str(self.query)[:200]} form {str(self.form)[:300]}"


class Clumsy:
    """Somebody to whom an address is open, and who types whatever there is to be typed wrong."""

    def __init__(self, app: Flask, belongings: Belongings, heard: set[str]) -> None:
        self.app, self.belongings, self.heard = app, belongings, heard
        self.chance = random.Random(SEED)
        self.count = 0
        self.share = 1.0

    def try_address(self, address: str, door: Door, values_each: int) -> Iterator[str]:
        """Try each name that its page and its form ask for, each with some bad values; tell what went wrong."""
        self.visitor = Visitor(self.app, None if door is LINK else door.owner)
        for one in self._tries(address, methods_of(self.app, address), values_each):
            for fault in what_is_wrong_with(self._send(one)):
                yield f"{one}: {fault}"

    def _send(self, one: Try) -> TestResponse:
        self.count += 1
        path = f"{one.path}?{urlencode(one.query)}"
        if one.form is None:
            return self.visitor.open(path)
        body = urlencode([("csrf_token", self.visitor.csrf_token()), *one.form])
        answer = self.visitor.open(path, "POST", data=body, content_type="application/x-www-form-urlencoded")
        if answer.status_code in (302, 303, 429):
            # It did something, or there were too many tries: else the next ones would all be stopped early.
            self._start_again()
        return answer

    def _start_again(self) -> None:
        self.belongings.start_again()
        self.visitor = Visitor(self.app, self.visitor.who)

    def _tries(self, address: str, methods: list[str], each: int) -> Iterator[Try]:
        bare, _, query = address.partition("?")
        path = filled(bare, self.belongings.ids)
        given: Pairs = [*parse_qsl(filled(query, self.belongings.ids))]
        for method in methods:
            names = sorted(self._names(path, given, method))
            for name, value in self._bad(names, each):
                bad: Pairs = [(name, value)] * self.chance.choice((1, 1, 1, 2))
                yield Try(path, [*(pair for pair in given if pair[0] != name), *bad], None if method == "GET" else [])
                if method == "POST":
                    yield Try(path, given, [*self._other_boxes(names, name), *bad])
            for word, value in self._bad(sorted(names_in(bare)), each):
                broken = filled(bare, {**self.belongings.ids, word: value})
                yield Try(broken, given, None if method == "GET" else [])

    def _bad(self, names: list[str], each: int) -> Iterator[tuple[str, str | bytes]]:
        for name in names:
            if self.chance.random() < self.share:
                for value in self.chance.sample(BAD, each):
                    yield name, value

    def _other_boxes(self, names: list[str], name: str) -> Pairs:
        """What stands in the rest of the form: nothing, or something as bad."""
        return [(other, self.chance.choice(BAD)) for other in names if other != name and self.chance.random() < 0.5]

    def _names(self, path: str, query: Pairs, method: str) -> set[str]:
        """What the page asks for in its address and its form, what its forms would send, and what nobody knows."""
        self.heard.clear()
        page = self.visitor.open(f"{path}?{urlencode(query)}")
        names = {name for form in forms_of(page) for name in (*form.fields, *form.choices)}
        if method == "POST":
            self._send(Try(path, query, []))
        return (names | self.heard | {self.chance.choice(STRANGE_NAMES)}) - {"csrf_token"}


@pytest.fixture
def clumsy(app: Flask, belongings: Belongings, monkeypatch: pytest.MonkeyPatch) -> Clumsy:
    heard: set[str] = set()
    monkeypatch.setattr(app, "request_class", listening(heard))
    return Clumsy(app, belongings, heard)


def test_bad_input_is_answered_and_never_a_fault(clumsy: Clumsy) -> None:
    """A sample, the same in every run: every fourth name of all pages with one value, each value in many places."""
    clumsy.share = 0.25
    try_everywhere(clumsy, 1)
    assert clumsy.count > 250


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_much_more_bad_input_is_answered(clumsy: Clumsy) -> None:
    """As many values in each place as half a minute allows; with `len(BAD)` all of them take ten."""
    try_everywhere(clumsy, 4)
    assert clumsy.count > 2000


def try_everywhere(clumsy: Clumsy, values_each: int) -> None:
    wrong = [fault for address, door in ADDRESSES.items() for fault in clumsy.try_address(address, door, values_each)]
    assert not wrong, f"{len(wrong)} of {clumsy.count}:\n" + "\n".join(wrong[:40])
