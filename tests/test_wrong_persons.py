"""Every address, tried with everybody who has no business there; taken from the portal's own list of routes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from clinic_portal.database import db
from tests.addresses import (
    ADDRESSES,
    FINE,
    HOW_TO,
    LINK,
    NOT_FOR_YOU,
    NOT_FOUND,
    OLD_LINK,
    ONESELF,
    OWN,
    SIGN_IN,
    Door,
    filled,
    methods_of,
    names_in,
    route_of,
    routes,
)
from tests.belongings import TOKENS, WRONG_PERSONS, Belongings
from tests.visitor import Visitor

ACCEPTED = {
    # What a page refuses because of what stands in the form is no refusal of the person.
    FINE: {200, 302, 303, 409, 422},
    NOT_FOR_YOU: {403},
    NOT_FOUND: {404},
    OLD_LINK: {404, 410},
}
# Looking at a record is written down, as is that somebody came in, and that a link was made up.
MAY_GROW = {"access_log", "sign_ins", "throttles"}


def doors(app: Flask) -> Iterator[tuple[str, Door, str]]:
    for address, door in ADDRESSES.items():
        for method in methods_of(app, address):
            yield address, door, method


def ask(visitor: Visitor, path: str, method: str, **more: Any) -> TestResponse:
    """Open a page, or send its form with a valid token and nothing filled in."""
    data = {"csrf_token": visitor.csrf_token()} if method == "POST" else None
    return visitor.open(path, method, data=data, **more)


def is_as(expected: str, answer: TestResponse) -> bool:
    if expected == SIGN_IN:
        return answer.status_code in (302, 303) and answer.headers["Location"].startswith("/login")
    return answer.status_code in ACCEPTED[expected]


# The list itself


def test_every_route_says_who_may_open_it(app: Flask) -> None:
    known = {(route_of(app, address, method), method) for address, _, method in doors(app)}
    unknown = [f"{method} {endpoint}" for endpoint, method in routes(app) if (endpoint, method) not in known]
    assert unknown == [], HOW_TO


def test_every_address_leads_to_a_route_and_names_ids_that_there_are(app: Flask, belongings: Belongings) -> None:
    assert [address for address in ADDRESSES if names_in(address) - belongings.ids.keys()] == [], HOW_TO
    assert [address for address in ADDRESSES if not methods_of(app, address)] == []


def test_whom_an_address_is_for_is_let_in(app: Flask, belongings: Belongings) -> None:
    """Without this the refusals would prove nothing: every id could be wrong."""
    refused = []
    for address, door, method in doors(app):
        if door.nobody == NOT_FOUND:
            continue
        answer = ask(Visitor(app, None if door is LINK else door.owner), filled(address, belongings.ids), method)
        if not is_as(FINE, answer) or is_as(SIGN_IN, answer) != (address in SENDS_TO_SIGN_IN.get(method, ())):
            refused.append((method, address, answer.status, answer.headers.get("Location")))
        if method == "POST":
            belongings.start_again()
    assert refused == [], "\n".join(map(str, refused))


# Whoever has not shown a password yet has no second step to show.
SECOND_STEPS = ("/login/second-step", "/login/recovery-code")
SENDS_TO_SIGN_IN = {"GET": SECOND_STEPS, "POST": ("/confirm/{confirm_token}", *SECOND_STEPS)}


# The wrong persons


@pytest.mark.parametrize("who", WRONG_PERSONS)
def test_no_address_opens_to_a_wrong_person(app: Flask, belongings: Belongings, who: str) -> None:
    ids = belongings.ids | {name: spoiled(belongings.ids[name]) for name in TOKENS}
    secrets, before, wrong = belongings.secrets(), every_row(), []
    visitor = Visitor(app, None if who == "nobody" else who)
    for address, door, method in doors(app):
        expected = door.to(WRONG_PERSONS[who])
        if method == "POST" and expected == FINE:
            # There it is their own form, and no wrong person's.
            continue
        path = filled(address, ids)
        answer = ask(visitor, path, method)
        if not is_as(expected, answer):
            wrong.append(f"{method} {address} gives {answer.status} instead of {expected}")
        if not may_know(who, address, door):
            told = [secret for secret in secrets if secret in answer.text and secret not in path]
            wrong += [f"{method} {address} tells {secret}" for secret in told]
    assert not wrong, "\n".join(wrong)
    assert {name for name, rows in every_row().items() if rows != before[name]} <= MAY_GROW


def spoiled(token: str) -> str:
    """The same words with another signature."""
    words, _, signature = token.rpartition(".")
    return f"{words}.{signature[::-1]}"


def may_know(who: str, address: str, door: Door) -> bool:
    """Whether what is Alice's may stand there: in kept mails for everybody, and for those who treat her."""
    treats = (who in ("erin", "mill", "admin") and door.admin == FINE) or (who == "chen" and door.doctor == FINE)
    return address.startswith("/mails/") or treats


def test_what_is_asked_for_in_parts_or_by_head_is_refused_as_well(app: Flask, belongings: Belongings) -> None:
    bob, ids, wrong = Visitor(app, "bob"), belongings.ids, []
    for address, door, method in doors(app):
        if method == "GET" and door.patient not in (FINE, OLD_LINK):
            head = bob.open(filled(address, ids), "HEAD")
            part = bob.open(filled(address, ids), headers={"HX-Request": "true"})
            wrong += [(address, got.status) for got in (head, part) if not is_as(door.patient, got)]
    assert wrong == []


def test_whoever_makes_cookies_up_is_nobody(app: Flask, belongings: Belongings) -> None:
    wrong = []
    for address, door, method in doors(app):
        if method == "GET" and door.nobody == SIGN_IN:
            forger = Visitor(app)
            for name in ("session", "remember_token"):
                forger.client.set_cookie(name, "fs-alice|eyJfdXNlcl9pZCI6ImZzLWFsaWNlIn0.aSUfZw.AAAA")
            answer = forger.open(filled(address, belongings.ids))
            wrong += [] if is_as(SIGN_IN, answer) else [(address, answer.status)]
    assert wrong == []


def test_what_is_for_oneself_only_is_not_for_a_proxy(app: Flask, belongings: Belongings) -> None:
    proxy = Visitor(app, "proxy")
    for address, door, method in doors(app):
        if door is ONESELF:
            assert ask(proxy, filled(address, belongings.ids), method).status_code == 404, (method, address)
    assert is_as(FINE, proxy.open(filled("/profile/{person}", belongings.ids)))


# Private visits


def test_a_private_visit_does_not_exist_for_a_proxy_at_any_address(app: Flask, belongings: Belongings) -> None:
    proxy, ids = Visitor(app, "proxy"), belongings.ids
    private = {**ids, "visit": ids["private"]}
    of_a_visit = [(address, method) for address, door, method in doors(app) if door is OWN and "/{visit}" in address]
    assert len(of_a_visit) >= 7
    for address, method in of_a_visit:
        assert ask(proxy, filled(address, private), method).status_code == 404, (method, address)
        if method == "GET":
            assert is_as(FINE, ask(proxy, filled(address, ids), method)), address
            assert is_as(FINE, ask(Visitor(app, "alice"), filled(address, private), method)), address


def test_no_page_of_a_proxy_tells_of_a_private_visit(app: Flask, belongings: Belongings) -> None:
    proxy, ids = Visitor(app, "proxy"), belongings.ids
    told = [
        address
        for address, _, method in doors(app)
        # A calendar's address is its owner's: whoever has it sees what they see.
        if method == "GET" and not address.startswith(("/mails/", "/calendar/"))
        if ids["private"] in proxy.open(filled(address, ids)).text
    ]
    assert told == []
    assert ids["visit"] in proxy.open("/appointments").text


# Forged forms


@pytest.mark.parametrize(
    ("token", "headers"),
    [
        (None, {}),
        ("made-up", {}),
        ("right", {"Origin": "https://evil.example"}),
        ("right", {"Sec-Fetch-Site": "cross-site"}),
    ],
)
def test_no_form_is_taken_without_its_token_or_from_another_site(
    app: Flask, belongings: Belongings, token: str | None, headers: dict[str, str]
) -> None:
    visitors = {who: Visitor(app, who) for who in {None, *(door.owner for _, door, _ in doors(app))}}
    before, taken = every_row(), []
    for address, door, method in doors(app):
        if method != "POST" or door.nobody == NOT_FOUND:
            continue
        for who in (door.owner, None):
            visitor = visitors[who]
            data = {"csrf_token": visitor.csrf_token() if token == "right" else token}
            answer = visitor.open(filled(address, belongings.ids), method, data=data, headers=headers)
            if not (answer.status_code == 400 or (who is None and is_as(SIGN_IN, answer))):
                taken.append((address, who, answer.status))
    assert taken == []
    assert every_row() == before


def every_row() -> dict[str, list[tuple[Any, ...]]]:
    db.session().rollback()
    return {
        table.name: [tuple(row) for row in db.session().execute(select(table).order_by(*table.primary_key))]
        for table in db.metadata.sorted_tables
    }
