"""What was typed before somebody was signed out is on its page again when they come back. Nothing sends itself."""

from __future__ import annotations

from flask import Flask, Response, request, session
from flask_login import current_user

from clinic_portal.accounts import kept_forms, signed_in_account
from clinic_portal.accounts.asking import KEPT
from clinic_portal.database import db
from clinic_portal.entrance.filling import fill


def install(app: Flask) -> None:
    """Look through the answers to somebody of whom something is kept; nobody else's are touched."""
    app.after_request(_refill)


def _refill(response: Response) -> Response:
    if KEPT not in session or "_user_id" not in session or not current_user.is_authenticated:
        return response
    if request.method == "GET" and response.status_code == 200 and response.mimetype == "text/html":
        _show_again(response)
    elif request.method == "POST" and response.status_code < 500:
        _forget_what_was_sent()
    return response


def _show_again(response: Response) -> None:
    html = response.get_data(as_text=True)
    for typed in kept_forms.all_kept(db.session(), signed_in_account().id):
        html = fill(html, request.path, typed.action, typed.fields) or html
    response.set_data(html)


def _forget_what_was_sent() -> None:
    """What was typed has arrived: whatever came of it, it is the reader's again."""
    account_id = signed_in_account().id
    if request.path not in [typed.action for typed in kept_forms.all_kept(db.session(), account_id)]:
        return
    if not kept_forms.forget(account_id=account_id, action=request.path):
        session.pop(KEPT, None)
