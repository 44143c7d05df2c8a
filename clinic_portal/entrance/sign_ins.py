"""Where you are signed in; staying signed in; and the page for those whose time has run out."""

from __future__ import annotations

from flask import Response, flash, jsonify, request, session, url_for
from flask_login import current_user

from clinic_portal.accounts import actor_of, clinic_zone, sign_ins, signed_in, signed_in_account
from clinic_portal.accounts.asking import KEPT, TO_ACTION, TO_PAGE, is_own_path, keep_for, lapsed_sign_in
from clinic_portal.database import db
from clinic_portal.entrance.blueprint import blueprint
from clinic_portal.entrance.presence import did_nothing_for, present_sign_in, seconds_if_used_now, seconds_left
from clinic_portal.languages import _
from clinic_portal.web import page, see_other
from clinic_portal.web.pages import settings_in_force


@blueprint.get("/account/sign-ins")
@signed_in
def signed_in_where() -> Response:
    """Where you are signed in."""
    rows = sign_ins.live(db.session(), signed_in_account(), settings_in_force())
    return page("entrance/sign_ins.html", rows=rows, present=present_sign_in().id, zone=clinic_zone(db.session()),
                back_url=url_for("entrance.account"))  # fmt: skip


@blueprint.post("/account/sign-ins/<sign_in_id>/end")
@signed_in
def end_sign_in(sign_in_id: str) -> Response:
    """Sign out somewhere else."""
    mine = signed_in_account()
    sign_ins.end_elsewhere(actor=actor_of(mine), account_id=mine.id, public_id=sign_in_id)
    flash(_("That browser is signed out."), "success")
    return see_other(url_for("entrance.signed_in_where"))


@blueprint.post("/account/sign-ins/end-others")
@signed_in
def end_other_sign_ins() -> Response:
    """Sign out everywhere else."""
    mine = signed_in_account()
    sign_ins.end_others(actor=actor_of(mine), account_id=mine.id, but=present_sign_in().public_id)
    flash(_("All other browsers are signed out."), "success")
    return see_other(url_for("entrance.signed_in_where"))


@blueprint.get("/session/time-left")
def time_left() -> Response:
    """How many seconds are left; asked by a page by itself, so it keeps nobody signed in."""
    return _seconds(seconds_left())


@blueprint.post("/session/stay")
def stay() -> Response:
    """Stay signed in. The press of the button is what counts."""
    return _seconds(seconds_if_used_now() if current_user.is_authenticated else 0)


@blueprint.post("/session/typed")
def keep_typed() -> Response:
    """A page whose reader's time has run out hands over what was typed in it. Nothing of it is carried out."""
    to, action = request.form.get(TO_PAGE, ""), request.form.get(TO_ACTION, "")
    whose = present_sign_in() if current_user.is_authenticated else lapsed_sign_in()
    if whose is not None and is_own_path(to) and is_own_path(action):
        keep_for(whose, to, action)
        if current_user.is_authenticated:
            # In another tab somebody was quicker and stayed.
            return see_other(to)
    return see_other(url_for("entrance.signed_out"))


@blueprint.get("/signed-out")
def signed_out() -> Response:
    """You have been signed out."""
    if current_user.is_authenticated:
        return see_other(url_for("start"))
    target, idle = request.args.get("next", ""), did_nothing_for()
    if target and not is_own_path(target):
        # Forms of the page bring its own address along.
        return see_other(url_for("entrance.signed_out"))
    minutes = None if idle is None else int(idle.total_seconds()) // 60
    return page("entrance/signed_out.html", minutes=minutes, is_kept=KEPT in session,
                next=target if is_own_path(target) else None)  # fmt: skip


def _seconds(seconds: int) -> Response:
    return jsonify(seconds=seconds)
