"""Your account: its address and its password."""

from __future__ import annotations

from flask import Response, flash, request, url_for

from clinic_portal.accounts import addresses, passwords, second_step, sign_ins, signed_in, signed_in_account, tokens
from clinic_portal.accounts.throttle import Kind
from clinic_portal.database import db
from clinic_portal.entrance.asked_again import ask_for_old_password, knows_password
from clinic_portal.entrance.blueprint import blueprint, take_try
from clinic_portal.entrance.forms import Form, read_email, read_new_password
from clinic_portal.entrance.presence import present_sign_in, start
from clinic_portal.languages import _
from clinic_portal.web import page, see_other
from clinic_portal.web.pages import settings_in_force


@blueprint.get("/account")
@signed_in
def account() -> Response:
    """Your account."""
    mine = signed_in_account()
    step = second_step.second_step_of(db.session(), mine.id)
    browsers = sign_ins.live(db.session(), mine, settings_in_force())
    return page("entrance/account.html", account=mine, step=step, browsers=len(browsers))


@blueprint.route("/account/password", methods=["GET", "POST"])
@signed_in
def change_password() -> Response:
    """Change your password. Whoever else was signed in with the old one is out at once."""
    mine, form = signed_in_account(), Form()
    if request.method == "POST":
        ask_for_old_password(form)
        password = read_new_password(form, mine.email)
        if not form.errors and knows_password(mine, form):
            is_two_factor = present_sign_in().is_two_factor
            changed = passwords.change_password(account_id=mine.id, password_hash=passwords.hashed(password))
            start(changed, is_two_factor=is_two_factor)
            flash(_("Your password is changed. Other devices are signed out."), "success")
            return see_other(url_for("entrance.account"))
    return page("entrance/change_password.html", status=form.status, form=form, errors=form.errors, email=mine.email,
                back_url=url_for("entrance.account"))  # fmt: skip


@blueprint.route("/account/email", methods=["GET", "POST"])
@signed_in
def change_email() -> Response:
    """Change your e-mail address. It changes when the link in the mail to the new one is used."""
    mine, form = signed_in_account(), Form()
    if request.method == "POST":
        email = read_email(form)
        ask_for_old_password(form)
        if email is not None and not form.errors and knows_password(mine, form):
            take_try(Kind.MAIL, email)
            addresses.ask_to_change(account_id=mine.id, email=email)
            return see_other(url_for("entrance.new_email_sent"))
    return page("entrance/change_email.html", status=form.status, form=form, errors=form.errors, email=mine.email,
                back_url=url_for("entrance.account"))  # fmt: skip


@blueprint.get("/account/email/sent")
@signed_in
def new_email_sent() -> Response:
    """Check the mails at your new address."""
    return page("entrance/sent.html", what="email")


@blueprint.route("/email/<token>", methods=["GET", "POST"])
def confirm_new_email(token: str) -> Response:
    """Confirm your new e-mail address. Opening the link changes nothing."""
    if request.method == "POST":
        addresses.change_email(token)
        flash(_("Your e-mail address is changed. Sign in with the new one from now on."), "success")
        return see_other(url_for("start"))
    found = tokens.read(db.session(), tokens.Purpose.CHANGE_EMAIL, token)
    return page("entrance/confirm.html", email=found.pending_email)
