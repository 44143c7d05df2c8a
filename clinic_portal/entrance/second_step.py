"""The second step of signing in: a code of the app, a passkey, or a recovery code."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask import Response, flash, request, session, url_for
from sqlalchemy import select

from clinic_portal import clock
from clinic_portal.accounts import second_step
from clinic_portal.accounts.throttle import Kind
from clinic_portal.database import db
from clinic_portal.entrance import passkey_forms
from clinic_portal.entrance.blueprint import blueprint, give_back, take_try
from clinic_portal.entrance.forms import Form
from clinic_portal.entrance.presence import WAITING
from clinic_portal.entrance.sign_in import enter
from clinic_portal.languages import _
from clinic_portal.models import Account
from clinic_portal.web import page, see_other

# How long after the password the second step may come.
WAITS_FOR = timedelta(minutes=10)


@blueprint.route("/login/second-step", methods=["GET", "POST"])
def pass_second_step() -> Response:
    """Show that it is you."""
    account = _waiting()
    if account is None:
        return _from_the_start()
    form = Form()
    if request.method == "POST" and _passes(account, form):
        return _pass(account)
    step = second_step.second_step_of(db.session(), account.id)
    return page("entrance/pass_second_step.html", status=form.status, form=form, errors=form.errors,
                has_app=step.app is not None, passkey_options=passkey_forms.options_to_use("second step", account),
                has_passkeys=bool(step.passkeys), back_url=url_for("security.login"))  # fmt: skip


@blueprint.route("/login/recovery-code", methods=["GET", "POST"])
def pass_with_recovery_code() -> Response:
    """Use a recovery code."""
    account = _waiting()
    if account is None:
        return _from_the_start()
    form = Form()
    if request.method == "POST" and _recovers(account, form):
        flash(_("You have used up one of your recovery codes."), "info")
        return _pass(account)
    return page("entrance/recovery_code.html", status=form.status, form=form, errors=form.errors,
                back_url=url_for("entrance.pass_second_step"))  # fmt: skip


def _waiting() -> Account | None:
    """Whose password was right a few minutes ago in this browser; a password changed since counts no longer."""
    told: dict[str, Any] = session.get(WAITING) or {}
    if clock.now().timestamp() - told.get("at", 0) > WAITS_FOR.total_seconds():
        return None
    account = db.session().scalar(select(Account).filter_by(fs_uniquifier=told["who"]))
    return account if account is not None and account.is_active else None


def _from_the_start() -> Response:
    session.pop(WAITING, None)
    flash(_("Sign in again, please: it took too long."), "info")
    return see_other(url_for("security.login"))


def _passes(account: Account, form: Form) -> bool:
    if passkey_forms.FIELD in request.form:
        return _passes_with_passkey(account, form)
    missing = _("Enter the code that your app shows")
    wrong = _("The code is not right, or has been used. Enter the one that your app shows now")
    return _is_taken(account, form, second_step.pass_with_code, missing, wrong)


def _passes_with_passkey(account: Account, form: Form) -> bool:
    take_try(Kind.SECOND_STEP, str(account.id))
    proof = passkey_forms.proof("second step", account)
    if proof is None or not second_step.pass_with_passkey(proof=proof):
        form.wrong("passkey", _("This passkey could not be used. Try again, or choose another way"))
        return False
    return True


def _recovers(account: Account, form: Form) -> bool:
    missing, wrong = _("Enter one of your recovery codes"), _("The code is not right, or has been used")
    return _is_taken(account, form, second_step.pass_with_recovery_code, missing, wrong)


def _is_taken(account: Account, form: Form, take: Callable[..., bool], missing: str, wrong: str) -> bool:
    """Whether the typed code was taken; if not, the form says what is missing or wrong. Each try is counted."""
    code = form.text("code")
    if not code:
        form.wrong("code", missing)
        return False
    take_try(Kind.SECOND_STEP, str(account.id))
    if not take(account_id=account.id, code=code):
        form.wrong("code", wrong)
        return False
    return True


def _pass(account: Account) -> Response:
    give_back(Kind.SECOND_STEP, str(account.id))
    return enter(account, session[WAITING]["next"], is_two_factor=True)
