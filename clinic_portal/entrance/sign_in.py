"""Flask-Security's sign-in page, with its tries counted."""

from __future__ import annotations

from typing import Any

from flask import Flask, request
from flask_login import current_user

from clinic_portal.accounts.throttle import Kind
from clinic_portal.entrance.blueprint import give_back, take_try


def install(app: Flask) -> None:
    """Count each try to sign in before the password is looked at."""
    sign_in = app.view_functions["security.login"]

    def counted() -> Any:
        who = request.form.get("email", "")
        if request.method != "POST" or current_user.is_authenticated:
            return sign_in()
        take_try(Kind.SIGN_IN, who)
        answer = sign_in()
        if current_user.is_authenticated:
            give_back(Kind.SIGN_IN, who)
        return answer

    app.view_functions["security.login"] = counted
