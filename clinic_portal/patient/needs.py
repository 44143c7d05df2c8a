"""Do you need any help with your appointment? Asked once while booking, remembered, and changed here or there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from flask import Response, flash, request, url_for

from clinic_portal.accounts import actor_for, signed_in, signed_in_account
from clinic_portal.audit import Actor, ActorKind
from clinic_portal.database import db
from clinic_portal.errors import InvalidRequest
from clinic_portal.languages import N_, _
from clinic_portal.models import Need, Relation
from clinic_portal.patient.answers import Answers, read_answers
from clinic_portal.patient.blueprint import blueprint
from clinic_portal.patient.going_on import go_on
from clinic_portal.patient.reading import read_public_id
from clinic_portal.patient.words import NEED_HINTS, NEED_WORDS
from clinic_portal.profile import needs_form
from clinic_portal.profile.needs import Wanted, change_needs
from clinic_portal.profile.rights import right_for
from clinic_portal.scheduling.fits import Fit
from clinic_portal.scheduling.needs import needs_of
from clinic_portal.web import page, see_other
from clinic_portal.wording import when_told

# What is asked once one of these is ticked.
DETAILS = {
    Need.INTERPRETER: (N_("Which language?"), N_("For example Polish or Arabic.")),
    Need.OTHER: (
        N_("What do you need?"),
        N_("Reception staff, the person you see and people who book for you can read this."),
    ),
}


@blueprint.route("/book/help", methods=["GET", "POST"])
@signed_in
def help_needed() -> Response:
    """Do you need any help with your appointment? What was said before is shown, and only changed when asked for."""
    answers = read_answers(signed_in_account(), request.args)
    if answers.patient is None or answers.visit_type is None:
        return see_other(answers.next_url())
    known = needs_of(db.session(), answers.patient.id)
    if request.method == "POST":
        return _answer(answers, known)
    if known and "change" not in request.args:
        change_url = answers.url("patient.help_needed", change="yes")
        return page("patient/help_known.html", needs=told(known), change_url=change_url, back_url=_back(answers))
    ticked = known or ({} if answers.needs == frozenset() else None)
    is_from_known = known and not answers.kept_id
    return _question(ticked, back_url=answers.url("patient.help_needed") if is_from_known else _back(answers))


def _answer(answers: Answers, known: Wanted) -> Response:
    assert answers.patient is not None
    if request.form.get("keep"):
        return go_on(replace(answers, needs=frozenset(known)))
    try:
        needs = needs_form.read_form(request.form)
        actor = actor_for(signed_in_account(), answers.patient.id)
        _tell_of_visits(actor, change_needs(actor=actor, patient_id=answers.patient.id, needs=needs))
    except InvalidRequest as error:
        return _question(_typed(), error, back_url=_back(answers))
    return go_on(replace(answers, needs=frozenset(needs)))


@blueprint.route("/profile/<person_id>/needs", methods=["GET", "POST"])
@signed_in
def change_own_needs(person_id: str) -> Response:
    """What help do you need with appointments?"""
    account = signed_in_account()
    right = right_for(account, read_public_id(person_id))
    is_own = right.relation == Relation.SELF
    back_url = url_for("patient.profile") if is_own else url_for("patient.person", person_id=person_id)
    title = _("Do you need any help with appointments?")
    if not is_own:
        title = _("Does %(name)s need any help with appointments?", name=right.patient.called_name)
    if request.method == "GET":
        return _question(needs_of(db.session(), right.patient_id), back_url=back_url, title=title)
    actor = actor_for(account, right.patient_id)
    try:
        fits = change_needs(actor=actor, patient_id=right.patient_id, needs=needs_form.read_form(request.form))
    except InvalidRequest as error:
        return _question(_typed(), error, back_url=back_url, title=title)
    flash(_("What you need is saved."), "success")
    _tell_of_visits(actor, fits)
    return see_other(back_url)


def _tell_of_visits(actor: Actor, fits: list[Fit]) -> None:
    """Say on the next page what becomes of visits that are booked already; private ones are the patient's own."""
    for fit in fits:
        if not (fit.visit.is_private and actor.kind is ActorKind.PROXY):
            flash(_said(fit), "info")


def _said(fit: Fit) -> str:
    visit = fit.visit
    assert visit.starts_at is not None
    assert visit.ends_at is not None
    assert visit.location is not None
    when = when_told(visit.starts_at, visit.location.zone, visit.shown_window_min)
    if not fit.is_longer:
        return _("We look at the appointment on %(when)s, and call you if it has to change.", when=when)
    minutes = (visit.ends_at - visit.starts_at) // timedelta(minutes=1)
    return _("The appointment on %(when)s takes %(minutes)s minutes now.", when=when, minutes=minutes)


def told(needs: Mapping[Need, str | None]) -> list[str]:
    """Needs in the patient's words, each with what belongs to it: "An interpreter: Polish"."""
    return [f"{_(NEED_WORDS[need])}: {detail}" if detail else _(NEED_WORDS[need]) for need, detail in needs.items()]


def _typed() -> Wanted | None:
    return needs_form.typed(request.form) or None


def _back(answers: Answers) -> str:
    return answers.back_url("patient.help_needed")


def _question(
    ticked: Wanted | None,
    error: InvalidRequest | None = None,
    *,
    back_url: str,
    title: str | None = None,
) -> Response:
    return page(
        "patient/help.html",
        status=422 if error else 200,
        title=title or _("Do you need any help with your appointment?"),
        options=needs_form.options(ticked, NEED_WORDS, NEED_HINTS, DETAILS, N_("No")),
        errors=needs_form.errors_of(error),
        back_url=back_url,
    )
