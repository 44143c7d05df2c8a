"""Whoever found a browser signed in must not take the account over: what matters asks for the password again."""

from __future__ import annotations

from datetime import timedelta

from flask import request

from clinic_portal import clock
from clinic_portal.accounts import passwords
from clinic_portal.accounts.throttle import Kind
from clinic_portal.entrance.blueprint import give_back, take_try
from clinic_portal.entrance.forms import Form
from clinic_portal.entrance.presence import present_sign_in
from clinic_portal.languages import _
from clinic_portal.models import Account

FIELD = "old_password"
# Who has signed in this short a time ago is not asked again for the second step.
FRESH_FOR = timedelta(minutes=10)


def is_fresh() -> bool:
    """Whether somebody has just signed in with this browser."""
    return clock.now() - present_sign_in().started_at < FRESH_FOR


def has_shown_password(mine: Account, form: Form) -> bool:
    """Whether the password was typed now, or a few minutes ago."""
    if is_fresh():
        return True
    ask_for_old_password(form)
    return not form.errors and knows_password(mine, form)


def ask_for_old_password(form: Form) -> None:
    """Say so when the present password was left out."""
    if not request.form.get(FIELD):
        form.wrong(FIELD, _("Enter the password you use now"))


def knows_password(mine: Account, form: Form) -> bool:
    """Whether the present password was typed. Each try is counted."""
    who = str(mine.id)
    take_try(Kind.PASSWORD, who)
    if not passwords.is_right(mine, request.form.get(FIELD, "")):
        form.wrong(FIELD, _("The password you use now is not right"))
        return False
    give_back(Kind.PASSWORD, who)
    return True
