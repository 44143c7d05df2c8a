"""In which language we write to you, or to somebody you act for."""

from __future__ import annotations

from flask import Response, flash, request, url_for

from clinic_portal.accounts import actor_for, signed_in, signed_in_account
from clinic_portal.errors import InvalidRequest
from clinic_portal.languages import LANGUAGES, _, known
from clinic_portal.models import Relation
from clinic_portal.patient.blueprint import blueprint
from clinic_portal.patient.reading import read_public_id
from clinic_portal.profile.language import change_mail_language
from clinic_portal.profile.rights import right_for
from clinic_portal.web import page, see_other
from clinic_portal.wording import say


@blueprint.route("/profile/<person_id>/language", methods=["GET", "POST"])
@signed_in
def mail_language(person_id: str) -> Response:
    """In which language should we write?"""
    account = signed_in_account()
    right = right_for(account, read_public_id(person_id))
    is_own, problem = right.relation == Relation.SELF, None
    profile_url = url_for("patient.profile") if is_own else url_for("patient.person", person_id=person_id)
    if request.method == "POST":
        language = request.form.get("mail_language", "")
        try:
            change_mail_language(
                actor=actor_for(account, right.patient_id), patient_id=right.patient_id, language=language
            )
            flash(_("We write in %(language)s from now on.", language=LANGUAGES[language]), "success")
            return see_other(profile_url)
        except InvalidRequest as error:
            problem = say(error)
    now = known(right.patient.preferred_language)
    return page(
        "patient/mail_language.html",
        status=422 if problem else 200,
        title=_("In which language should we write to you?")
        if is_own
        else _("In which language should we write about appointments of %(name)s?", name=right.patient.called_name),
        options=[{"value": code, "label": name, "hint": "", "is_checked": code == now}
                 for code, name in LANGUAGES.items()],
        errors=[{"field": "mail_language", "text": problem}] if problem else [],
        back_url=profile_url,
    )  # fmt: skip
