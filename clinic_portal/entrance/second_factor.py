"""What you show beside your password: an authenticator app, passkeys, recovery codes; set up and taken away here."""

from __future__ import annotations

from flask import Response, flash, request, url_for
from markupsafe import Markup

from clinic_portal.accounts import authenticator, second_step, signed_in, signed_in_account
from clinic_portal.accounts.throttle import Kind
from clinic_portal.database import db
from clinic_portal.entrance import passkey_forms
from clinic_portal.entrance.asked_again import has_shown_password, is_fresh
from clinic_portal.entrance.blueprint import blueprint, give_back, take_try
from clinic_portal.entrance.forms import Form
from clinic_portal.entrance.presence import present_sign_in
from clinic_portal.errors import InvalidRequest, NotFound
from clinic_portal.languages import _
from clinic_portal.models import Account
from clinic_portal.web import page, see_other
from clinic_portal.web.pages import clinic_facts, settings_in_force
from clinic_portal.wording import say


@blueprint.get("/account/second-step")
@signed_in
def second_step_set_up() -> Response:
    """A second step when you sign in."""
    mine = signed_in_account()
    must = second_step.is_required(settings_in_force(), mine) and not present_sign_in().is_two_factor
    return page("entrance/second_step.html", step=second_step.second_step_of(db.session(), mine.id), must=must,
                can_have_passkeys=passkey_forms.can_work(),
                back_url=None if must else url_for("entrance.account"))  # fmt: skip


@blueprint.route("/account/second-step/app", methods=["GET", "POST"])
@signed_in
def add_app() -> Response:
    """Set up an authenticator app: the key as a picture and as text, and the first code as the sign that it works."""
    mine, form = signed_in_account(), Form()
    key = authenticator.offered(request.form.get("key", ""), mine.id) or authenticator.new_key()
    if request.method == "POST":
        codes = _add_app(mine, form, key)
        if codes is not None:
            return _added(codes, _("Your app is set up. From now on we ask for its code when you sign in."))
    # A drawing of the library's, in which the words of others are only black squares.
    picture = Markup(authenticator.picture(key, mine.email, clinic_facts().name))  # noqa: S704
    return page("entrance/add_app.html", status=form.status, form=form, errors=form.errors, is_fresh=is_fresh(),
                key=authenticator.offer(key, mine.id), key_to_type=authenticator.key_to_type(key),
                picture=picture, back_url=_set_up_url())  # fmt: skip


@blueprint.route("/account/second-step/passkey", methods=["GET", "POST"])
@signed_in
def add_passkey() -> Response:
    """Add a passkey."""
    mine, form = signed_in_account(), Form()
    if not passkey_forms.can_work():
        raise NotFound
    if request.method == "POST":
        codes = _add_passkey(mine, form)
        if codes is not None:
            return _added(codes, _("Your passkey is added. From now on we ask for it when you sign in."))
    return page("entrance/add_passkey.html", status=form.status, form=form, errors=form.errors, is_fresh=is_fresh(),
                passkey_options=passkey_forms.options_to_make(mine), back_url=_set_up_url())  # fmt: skip


@blueprint.route("/account/second-step/codes", methods=["GET", "POST"])
@signed_in
def new_codes() -> Response:
    """Make new recovery codes."""
    mine, form = signed_in_account(), Form()
    if request.method == "POST" and has_shown_password(mine, form):
        return page("entrance/codes.html", codes=second_step.new_recovery_codes(account_id=mine.id), says=None)
    return page("entrance/new_codes.html", status=form.status, form=form, errors=form.errors, is_fresh=is_fresh(),
                back_url=_set_up_url())  # fmt: skip


@blueprint.route("/account/second-step/app/remove", methods=["GET", "POST"])
@signed_in
def remove_app() -> Response:
    """Take the authenticator app away."""
    if second_step.second_step_of(db.session(), signed_in_account().id).app is None:
        return see_other(_set_up_url())
    return _remove(None)


@blueprint.route("/account/second-step/passkeys/<passkey_id>/remove", methods=["GET", "POST"])
@signed_in
def remove_passkey(passkey_id: str) -> Response:
    """Take a passkey away."""
    return _remove(passkey_id)


def _add_app(mine: Account, form: Form, key: str) -> list[str] | None:
    """The recovery codes once the app is set up; None when something is wrong."""
    code = form.text("code")
    if not code:
        form.wrong("code", _("Enter the code that your app shows"))
    if not has_shown_password(mine, form) or form.errors:
        return None
    take_try(Kind.SECOND_STEP, str(mine.id))
    counter = authenticator.counter_of(key, code)
    if counter is None:
        form.wrong("code", _("The code is not right. Check that your phone shows the right time, and enter the next"))
        return None
    give_back(Kind.SECOND_STEP, str(mine.id))
    return second_step.add_app(account_id=mine.id, key=key, counter=counter, sign_in=present_sign_in().public_id)


def _add_passkey(mine: Account, form: Form) -> list[str] | None:
    """The recovery codes once the passkey is kept; None when something is wrong."""
    name = form.text("name")
    if not name or len(name) > second_step.LONGEST_NAME:
        form.wrong("name", _("Enter a name of %(most)s characters or fewer", most=second_step.LONGEST_NAME))
    if not has_shown_password(mine, form) or form.errors:
        return None
    take_try(Kind.SECOND_STEP, str(mine.id))
    made = passkey_forms.made(mine)
    try:
        if made is None:
            raise InvalidRequest
        codes = second_step.add_passkey(account_id=mine.id, name=name, made=made, sign_in=present_sign_in().public_id)
    except InvalidRequest:
        form.wrong("passkey", _("No passkey was made. Try again, or choose another way"))
        return None
    give_back(Kind.SECOND_STEP, str(mine.id))
    return codes


def _added(codes: list[str], says: str) -> Response:
    if codes:
        return page("entrance/codes.html", codes=codes, says=says)
    flash(says, "success")
    return see_other(_set_up_url())


def _remove(passkey_id: str | None) -> Response:
    """Ask whether to take the app or a passkey away, and do it."""
    mine, form = signed_in_account(), Form()
    passkeys = second_step.second_step_of(db.session(), mine.id).passkeys
    passkey = next((each for each in passkeys if each.public_id == passkey_id), None)
    if passkey_id is not None and passkey is None:
        raise NotFound
    if request.method == "POST" and has_shown_password(mine, form):
        try:
            _take_away(mine, passkey_id)
        except InvalidRequest as error:
            form.wrong("remove", say(error))
        else:
            flash(_("It is taken away. We have sent you a mail about it."), "success")
            return see_other(_set_up_url())
    return page("entrance/remove_second_step.html", status=form.status, form=form, errors=form.errors,
                is_fresh=is_fresh(), passkey=passkey, back_url=_set_up_url())  # fmt: skip


def _take_away(mine: Account, passkey_id: str | None) -> None:
    if passkey_id is None:
        second_step.remove_app(account_id=mine.id)
    else:
        second_step.remove_passkey(account_id=mine.id, public_id=passkey_id)


def _set_up_url() -> str:
    return url_for("entrance.second_step_set_up")
