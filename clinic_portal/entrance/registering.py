"""Create an account, and confirm its address. No answer tells whether an address has an account already."""

from __future__ import annotations

from flask import Response, flash, request, url_for
from flask_login import current_user

from clinic_portal.accounts import registering, tokens
from clinic_portal.accounts.passwords import hashed
from clinic_portal.accounts.throttle import Kind
from clinic_portal.database import db
from clinic_portal.entrance.blueprint import blueprint, take_try
from clinic_portal.entrance.forms import Form, read_email, read_person
from clinic_portal.languages import _
from clinic_portal.web import page, see_other


@blueprint.route("/register", methods=["GET", "POST"])
def register() -> Response:
    """Create an account."""
    if current_user.is_authenticated:
        return see_other(url_for("start"))
    form = Form()
    if request.method == "POST":
        person, password = read_person(form)
        if person is not None:
            take_try(Kind.MAIL, person.email)
            registering.register(person, hashed(password))
            return see_other(url_for("entrance.sent", what="register"))
    return page("entrance/register.html", status=form.status, form=form, errors=form.errors,
                back_url=url_for("security.login"))  # fmt: skip


@blueprint.route("/confirm", methods=["GET", "POST"])
def confirm_again() -> Response:
    """Send the link to confirm an address once more."""
    form = Form()
    if request.method == "POST":
        email = read_email(form)
        if email is not None and not form.errors:
            take_try(Kind.MAIL, email)
            registering.ask_to_confirm(email=email)
            return see_other(url_for("entrance.sent", what="confirm"))
    return page("entrance/confirm_again.html", status=form.status, form=form, errors=form.errors,
                back_url=url_for("security.login"))  # fmt: skip


@blueprint.get("/sent")
def sent() -> Response:
    """Check your e-mail."""
    return page("entrance/sent.html", what=request.args.get("what"))


@blueprint.route("/confirm/<token>", methods=["GET", "POST"])
def confirm(token: str) -> Response:
    """Confirm your e-mail address. Opening the link changes nothing: mail programs do that by themselves."""
    if request.method == "POST":
        registering.confirm(token=token)
    account = tokens.read(db.session(), tokens.Purpose.CONFIRM, token)
    if account.confirmed_at is not None:
        flash(_("Your e-mail address is confirmed. You can sign in now."), "success")
        return see_other(url_for("security.login"))
    return page("entrance/confirm.html", email=account.email)
