"""Somebody in front of the portal: opens addresses and sends forms as a browser would, without one."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from werkzeug.test import TestResponse

from clinic_portal import clock
from clinic_portal.accounts import sign_ins
from clinic_portal.database import db
from clinic_portal.entrance import presence
from clinic_portal.models import Account


@dataclass
class Form:
    """A form of a page, with what it would send if nobody touched it."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=dict)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given.get("action", ""), given.get("method", "get")))
        if tag not in ("input", "button") or not self.forms or "name" not in given:
            return
        form, name, value = self.forms[-1], given["name"], given.get("value", "")
        if given.get("type") in ("radio", "checkbox") or tag == "button":
            form.choices.setdefault(name, []).append(value)
            if "checked" not in given:
                return
        form.fields[name] = value


ON_EVERY_PAGE = ("/logout", "/session/stay", "/language", "/backoffice/search/")


def forms_of(answer: TestResponse) -> list[Form]:
    """The forms of a page, without those that every page has: sign out, stay signed in, language, search."""
    parser = _Forms()
    parser.feed(answer.text)
    return [form for form in parser.forms if form.action not in ON_EVERY_PAGE]


# Nobody's sign-in ends before.
SHIFT = timedelta(hours=11)


class Visitor:
    """One browser: nobody's, or one in which somebody of the cast has signed in, and goes on reading meanwhile.

    Whatever a test does to the clock, such a reader's time does not run out, unless the test says that they are idle;
    and after a shift they have signed in again.
    """

    def __init__(self, app: Flask, who: str | None = None, *, is_idle: bool = False) -> None:
        self.app, self.who = app, who
        self.client = app.test_client()
        self.is_idle = is_idle
        self._token: str | None = None
        self._sign_in: str | None = None
        if who is not None:
            self._come_in(who)

    def _come_in(self, who: str) -> None:
        self._since = clock.now()
        with self.app.app_context(), self.client.session_transaction() as session:
            session["_user_id"], session["_fresh"] = f"fs-{who}", True
            # Some tests have no database to speak of.
            with suppress(DBAPIError):
                account_id = db.session().scalar(select(Account.id).filter_by(fs_uniquifier=f"fs-{who}"))
                if account_id is not None:
                    self._sign_in = sign_ins.begin(account_id=account_id, browser="A test")
                    session["sign_in"] = self._sign_in

    def open(self, path: str, method: str = "GET", **more: Any) -> TestResponse:
        """One request, in a context of its own as on the web server."""
        with self.app.app_context():
            if self._sign_in is not None and not self.is_idle:
                if self.who is not None and clock.now() - self._since > SHIFT:
                    self._come_in(self.who)
                self.client.set_cookie(presence.COOKIE, presence.seen_cookie(self._sign_in, clock.now()))
            return self.client.open(path, method=method, buffered=True, **more)

    def get(self, path: str, status: int = 200, **headers: str) -> TestResponse:
        answer = self.open(path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        assert answer.status_code == status, (path, answer.status, words_of(answer))
        return answer

    def post(self, path: str, status: int = 303, **fields: Any) -> TestResponse:
        """Send fields with a valid token, whatever page they would come from."""
        token = {"csrf_token": self.csrf_token(), **fields}
        answer = self.open(path, "POST", data=token)
        assert answer.status_code == status, (path, answer.status, words_of(answer))
        return answer

    def csrf_token(self) -> str:
        """The token of this browser's session, from the sign-out or the sign-in form."""
        if self._token is None:
            parser = _Forms()
            parser.feed(self.open("/").text)
            if not parser.forms:
                parser.feed(self.open("/login").text)
            self._token = parser.forms[0].fields["csrf_token"]
        return self._token

    def submit(self, answer: TestResponse, status: int = 303, index: int = 0, **fields: Any) -> TestResponse:
        """Send a form of the page as it stands, with these answers."""
        form = forms_of(answer)[index]
        path = form.action or answer.request.full_path
        sent = self.open(path, "POST", data={**form.fields, **fields})
        assert sent.status_code == status, (path, sent.status, words_of(sent))
        return sent

    def follow(self, answer: TestResponse, status: int = 200) -> TestResponse:
        """Go where a redirect sends."""
        return self.get(answer.headers["Location"], status)


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def handle_data(self, data: str) -> None:
        self.words += data.split()


def words_of(answer: TestResponse) -> str:
    """What a page says, without its markup."""
    parser = _Words()
    parser.feed(answer.text)
    return " ".join(parser.words)
