"""A forgotten password: ask for a link, and choose a new one."""

from __future__ import annotations

from flask import Response, flash, request, url_for
from flask_login import logout_user

from clinic_portal.accounts import passwords, throttle, tokens
from clinic_portal.accounts.throttle import Kind
from clinic_portal.database import db
from clinic_portal.entrance.blueprint import blueprint, take_try
from clinic_portal.entrance.forms import Form, read_email, read_new_password
from clinic_portal.languages import _
from clinic_portal.web import page, see_other


@blueprint.route("/reset", methods=["GET", "POST"])
def forgotten() -> Response:
    """Have you forgotten your password?"""
    form = Form()
    if request.method == "POST":
        email = read_email(form)
        if email is not None and not form.errors:
            take_try(Kind.MAIL, email)
            passwords.ask_to_reset(email=email)
            return see_other(url_for("entrance.sent", what="reset"))
    return page("entrance/forgotten.html", status=form.status, form=form, errors=form.errors,
                back_url=url_for("security.login"))  # fmt: skip


@blueprint.route("/reset/<token>", methods=["GET", "POST"])
def new_password(token: str) -> Response:
    """Choose a new password."""
    account = tokens.read(db.session(), tokens.Purpose.RESET, token)
    form = Form()
    if request.method == "POST":
        password, email = read_new_password(form, account.email), account.email
        if not form.errors:
            passwords.set_password(token=token, password_hash=passwords.hashed(password))
            throttle.give_back(Kind.SIGN_IN, who=email, network=None)
            logout_user()
            flash(_("Your password is changed. You can sign in with it now."), "success")
            return see_other(url_for("security.login"))
    return page("entrance/new_password.html", status=form.status, form=form, errors=form.errors, email=account.email)
