"""Read the portal in another language: a small form at the foot of every page."""

from __future__ import annotations

from flask import Response, request, url_for
from flask_login import current_user

from clinic_portal.accounts import signed_in_account
from clinic_portal.accounts.asking import is_own_path
from clinic_portal.accounts.preferences import keep_language
from clinic_portal.entrance.blueprint import blueprint
from clinic_portal.errors import InvalidRequest
from clinic_portal.languages import LANGUAGES, N_
from clinic_portal.web import see_other
from clinic_portal.web.language import choose


@blueprint.post("/language")
def choose_language() -> Response:
    """Go on in another language; whoever is signed in gets it on every device from then on."""
    language, target = request.form.get("language", ""), request.form.get("next", "")
    if language not in LANGUAGES:
        raise InvalidRequest(N_("Choose one of the languages on the page."))
    if current_user.is_authenticated:
        keep_language(account_id=signed_in_account().id, language=language)
    choose(language)
    return see_other(target if is_own_path(target) else url_for("patient.home"))
