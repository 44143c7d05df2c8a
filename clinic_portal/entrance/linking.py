"""Use a code from the clinic: for patients whom the clinic already knows."""

from __future__ import annotations

from flask import Response, flash, request, url_for

from clinic_portal.accounts import invitations, signed_in, signed_in_account
from clinic_portal.accounts.throttle import Kind
from clinic_portal.entrance.blueprint import blueprint, give_back, take_try
from clinic_portal.entrance.forms import Form, read_birth_date
from clinic_portal.errors import InvalidRequest
from clinic_portal.languages import _
from clinic_portal.web import page, see_other
from clinic_portal.wording import say


@blueprint.route("/account/code", methods=["GET", "POST"])
@signed_in
def use_code() -> Response:
    """Use a code from the clinic."""
    form = Form()
    if request.method == "POST" and _link(form):
        flash(_("Your account now belongs to your record at the clinic."), "success")
        return see_other(url_for("patient.appointments"))
    return page("entrance/use_code.html", status=form.status, form=form, errors=form.errors,
                back_url=url_for("entrance.account"))  # fmt: skip


def _link(form: Form) -> bool:
    code, birth_on = form.text("code"), read_birth_date(form)
    if not code:
        form.errors.insert(0, {"field": "code", "text": _("Enter the code from your letter or text")})
    if form.errors or birth_on is None:
        return False
    account_id = signed_in_account().id
    take_try(Kind.CODE, str(account_id))
    try:
        invitations.use_code(account_id=account_id, code=code, birth_on=birth_on)
    except InvalidRequest as error:
        form.wrong("code", say(error))
        return False
    give_back(Kind.CODE, str(account_id))
    return True
