"""Signing in: Flask-Security asks for the password and is told here what comes next; signing out."""

from __future__ import annotations

from typing import Any, cast

from flask import Flask, Response, flash, make_response, redirect, request, session, url_for
from flask_login import current_user
from flask_security import Security, UserMixin
from flask_security.tf_plugin import TfPlugin

from clinic_portal import clock
from clinic_portal.accounts import kept_forms, second_step, sign_ins
from clinic_portal.accounts.asking import KEPT, is_own_path
from clinic_portal.accounts.throttle import Kind
from clinic_portal.database import db
from clinic_portal.entrance import passkey_forms
from clinic_portal.entrance.blueprint import blueprint, give_back, take_try
from clinic_portal.entrance.presence import SIGN_IN, WAITING, forget_reader, start
from clinic_portal.languages import _
from clinic_portal.models import Account


class NextSteps(TfPlugin):
    """What Flask-Security asks once a password was right: here it never signs anybody in by itself."""

    def tf_enter(
        self, user: UserMixin, remember_me: bool | None, primary_authn_via: str, next_loc: str | None
    ) -> Response:
        """The second step where one is set up, else straight in."""
        account, target = cast("Account", user), _target()
        give_back(Kind.SIGN_IN, request.form.get("email", ""))
        if not second_step.second_step_of(db.session(), account.id).is_set_up:
            return enter(account, target, is_two_factor=False)
        session[WAITING] = {"who": account.fs_uniquifier, "at": clock.now().timestamp(), "next": target}
        return make_response(redirect(url_for("entrance.pass_second_step")))


def install(app: Flask) -> None:
    """Count each try before the password is looked at, and say what comes after it."""
    security: Security = app.extensions["security"]
    security.two_factor_plugins = NextSteps()
    security.login_context_processor(
        lambda: {"passkey_options": passkey_forms.options_to_use("sign in"), "next": _target()}
    )
    sign_in, sign_out = app.view_functions["security.login"], app.view_functions["security.logout"]

    def counted() -> Any:
        if request.method == "POST" and not current_user.is_authenticated:
            take_try(Kind.SIGN_IN, request.form.get("email", ""))
        return sign_in()

    def ended() -> Any:
        if SIGN_IN in session:
            sign_ins.end(public_id=session[SIGN_IN])
        forget_reader()
        return sign_out()

    app.view_functions["security.login"] = counted
    app.view_functions["security.logout"] = ended


@blueprint.post("/login/passkey")
def use_passkey() -> Response:
    """Sign in with a passkey alone: the device has looked at a face, a finger or a PIN."""
    if current_user.is_authenticated:
        return make_response(redirect(url_for("start")))
    who = passkey_forms.claimed_id()
    take_try(Kind.SIGN_IN, who)
    proof = passkey_forms.proof("sign in", verified=True)
    if proof is None or not proof.passkey.account.is_active or not second_step.pass_with_passkey(proof=proof):
        flash(_("This passkey could not be used here. Sign in with your password."), "error")
        return make_response(redirect(url_for("security.login", next=_target())))
    give_back(Kind.SIGN_IN, who)
    return enter(proof.passkey.account, _target(), is_two_factor=True)


def enter(account: Account, target: str | None, *, is_two_factor: bool) -> Response:
    """Sign somebody in, and lead them to where they wanted, or to what was kept for them."""
    start(account, is_two_factor=is_two_factor)
    kept = kept_forms.all_kept(db.session(), account.id) if KEPT in session and target is None else []
    return make_response(redirect(kept[0].page if kept else target or url_for("start")))


def _target() -> str | None:
    target = request.args.get("next")
    return target if target and is_own_path(target) else None
