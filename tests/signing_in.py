"""Signing in step by step, as tests of accounts do it: with the form, a code of an app, a passkey."""

from __future__ import annotations

import html
import re
from typing import Any

from passlib.totp import TOTP
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from clinic_portal import clock
from clinic_portal.audit import SYSTEM
from clinic_portal.database import db
from clinic_portal.settings import change_setting
from tests.visitor import Visitor, forms_of
from tests.world import PASSWORD


def fresh() -> Session:
    """The database as it is now."""
    session = db.session()
    session.rollback()
    session.expire_all()
    return session


def ask_of_staff() -> None:
    """Let the clinic ask its staff for a second step, as in production."""
    change_setting(actor=SYSTEM, name="second_factor", value="staff")


def sign_in(visitor: Visitor, who: str, password: str = PASSWORD, **more: Any) -> TestResponse:
    """Send the sign-in form as somebody of the cast."""
    page = visitor.get("/login")
    fields = {**forms_of(page)[0].fields, "email": f"{who}@example.com", "password": password}
    return visitor.open("/login", "POST", data=fields, **more)


def code_of(key: str) -> str:
    """What the app shows now."""
    return str(TOTP(key).generate(time=int(clock.now().timestamp())).token)


def key_on(page: TestResponse) -> str:
    """The key that a page shows for an app."""
    found = re.search(r'class="portal-key">([A-Z2-7 ]+)<', page.text)
    assert found
    return found[1].replace(" ", "")


def set_up_app(visitor: Visitor) -> tuple[str, list[str]]:
    """Set an app up; its key, and the recovery codes if there are new ones."""
    page = visitor.get("/account/second-step/app")
    key = key_on(page)
    form = forms_of(page)[0].fields
    answer = visitor.open("/account/second-step/app", "POST", data={**form, "code": code_of(key),
                                                                    "old_password": PASSWORD})  # fmt: skip
    assert answer.status_code in (200, 303), answer.text
    return key, codes_on(answer)


def codes_on(page: TestResponse) -> list[str]:
    """The recovery codes that a page tells."""
    return re.findall(r"<li>([A-Z0-9]{5}-[A-Z0-9]{5})</li>", page.text)


def options_on(page: TestResponse) -> str:
    """What a page asks the browser to do with a passkey."""
    found = re.search(r'data-options="([^"]+)"', page.text)
    assert found
    return html.unescape(found[1])
