"""People who are signed in: the application itself makes their cookies, as it does after a right password."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Flask, Response
from flask_wtf.csrf import generate_csrf
from sqlalchemy import select

from clinic_portal import create_app
from clinic_portal.config import load_config
from clinic_portal.database import db
from clinic_portal.entrance.presence import start
from clinic_portal.models import Account
from tests.bench.databases import Env
from tests.bench.http import AGENT


@dataclass(frozen=True)
class Visitor:
    """What the browser of somebody signed in would send."""

    account_id: int
    cookie: str
    csrf_token: str


def sign_in_all(env: Env, account_ids: Sequence[int]) -> list[Visitor]:
    """Sign these accounts in, without the hashing of a password, which is slow on purpose."""
    app = create_app(load_config(env))
    with app.app_context():
        query = select(Account).where(Account.id.in_(account_ids)).order_by(Account.id)
        visitors = [_sign_in(app, account) for account in db.session().scalars(query)]
        db.session.remove()
        db.engine.dispose()
    return visitors


def _sign_in(app: Flask, account: Account) -> Visitor:
    browser = {"REMOTE_ADDR": "127.0.0.1", "HTTP_USER_AGENT": AGENT}
    with app.test_request_context("/", environ_overrides=browser) as context:
        start(account, is_two_factor=True)
        token, response = generate_csrf(), Response()
        app.session_interface.save_session(app, context.session, response)
        return Visitor(account.id, response.headers["Set-Cookie"].partition(";")[0], token)
