"""Your details: who you are to the clinic, how it reaches you, and the same for those you act for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Response, current_app, flash, request, url_for

from clinic_portal import links
from clinic_portal.accounts import actor_for, rights_of, signed_in, signed_in_account
from clinic_portal.database import db
from clinic_portal.errors import InvalidRequest, NotAllowed, NotFound
from clinic_portal.languages import LANGUAGES, N_, _, known
from clinic_portal.models import ContactKind, ContactPoint, Patient, PatientAccess, Relation
from clinic_portal.patient.blueprint import blueprint
from clinic_portal.patient.contact_words import WORDS
from clinic_portal.patient.going_on import check_left
from clinic_portal.patient.needs import told
from clinic_portal.patient.reading import read_public_id
from clinic_portal.profile import contacts
from clinic_portal.profile.reminding import want_reminders
from clinic_portal.profile.rights import contact_for, right_for
from clinic_portal.scheduling.needs import needs_of
from clinic_portal.web import page, see_other
from clinic_portal.wording import date_plain, say

NEW = "/profile/<person_id>/contacts/new/<any(email, mobile, landline, post):kind>"
CONTACT = "/profile/contacts/<contact_id>"

TYPES = {
    ContactKind.EMAIL: {"type": "email", "autocomplete": "email"},
    ContactKind.MOBILE: {"type": "tel", "autocomplete": "tel"},
    ContactKind.LANDLINE: {"type": "tel", "autocomplete": "tel"},
    ContactKind.POST: {"type": "lines", "autocomplete": "street-address"},
}
PHONES = (ContactKind.MOBILE, ContactKind.LANDLINE)
# Whose phone, mailbox or door it is; others than these were noted by the clinic.
WHOSE = (Relation.SELF, Relation.PARENT, Relation.CARER)


@dataclass(frozen=True)
class Way:
    """One way to reach somebody, as its page shows it."""

    public_id: str
    kind: str
    kind_words: str
    value: str
    whose: str | None
    is_first: bool
    can_be_first: bool
    is_unverified: bool
    has_failed: bool
    replaces: str | None


@blueprint.get("/profile", endpoint="profile")
@signed_in
def own_profile() -> Response:
    """Your details; of the first person when the account has no own one."""
    rights = rights_of(signed_in_account())
    if not rights:
        raise NotAllowed
    return _show(rights[0], rights)


@blueprint.get("/profile/<person_id>")
@signed_in
def person(person_id: str) -> Response:
    """The details of somebody you act for."""
    account = signed_in_account()
    return _show(right_for(account, read_public_id(person_id)), rights_of(account))


@blueprint.route("/profile/<person_id>/name", methods=["GET", "POST"])
@signed_in
def called_name(person_id: str) -> Response:
    """What should we call you?"""
    right = right_for(signed_in_account(), read_public_id(person_id))
    name, problem = right.patient.called_name, None
    if request.method == "POST":
        name = request.form.get("called_name", "")
        try:
            actor = actor_for(signed_in_account(), right.patient_id)
            contacts.change_called_name(actor=actor, patient_id=right.patient_id, name=name)
            return _back(right, _("The name is saved."))
        except InvalidRequest as error:
            problem = say(error)
    return page(
        "patient/called_name.html",
        status=422 if problem else 200,
        title=_("What should we call you?")
        if _is_own(right)
        else _("What should we call %(name)s?", name=right.patient.given_name),
        name=name,
        errors=_errors("called_name", problem),
        back_url=_url(right),
    )


@blueprint.route(NEW, methods=["GET", "POST"])
@signed_in
def add_contact(person_id: str, kind: str) -> Response:
    """Add a way to reach somebody."""
    account = signed_in_account()
    right, of_kind = right_for(account, read_public_id(person_id)), ContactKind(kind)
    title = _(WORDS[of_kind].add)
    if request.method != "POST":
        return _form(right, of_kind, title, "", None)
    try:
        made = contacts.add_contact(
            actor=actor_for(account, right.patient_id),
            patient_id=right.patient_id,
            kind=of_kind,
            value=request.form.get("value", ""),
            whose=_read_whose(right, of_kind),
        )
    except InvalidRequest as error:
        return _form(right, of_kind, title, request.form.get("value", ""), request.form.get("whose"), error)
    return _back(right, _news(made, WORDS[of_kind].is_saved))


@blueprint.route(f"{CONTACT}/change", methods=["GET", "POST"])
@signed_in
def change_contact(contact_id: str) -> Response:
    """Change a way to reach somebody."""
    account = signed_in_account()
    contact, right = contact_for(account, read_public_id(contact_id))
    title = _(WORDS[contact.kind].change)
    if request.method != "POST":
        return _form(_if_live(contact, right), contact.kind, title, contact.value, contact.whose)
    try:
        made = contacts.change_contact(
            actor=actor_for(account, right.patient_id),
            contact_id=contact.id,
            value=request.form.get("value", ""),
            whose=_read_whose(right, contact.kind),
        )
    except InvalidRequest as error:
        value, whose = request.form.get("value", ""), request.form.get("whose")
        return _form(right, contact.kind, title, value, whose, error)
    return _back(right, _news(made, WORDS[contact.kind].is_changed))


@blueprint.post(f"{CONTACT}/prefer")
@signed_in
def prefer_contact(contact_id: str) -> Response:
    """Use this one first."""
    account = signed_in_account()
    contact, right = contact_for(account, read_public_id(contact_id))
    contacts.prefer_contact(actor=actor_for(account, right.patient_id), contact_id=contact.id)
    return _back(right, _(WORDS[contact.kind].is_first))


@blueprint.post(f"{CONTACT}/ask")
@signed_in
def ask_again(contact_id: str) -> Response:
    """Send the mail with the link again."""
    account = signed_in_account()
    contact, right = contact_for(account, read_public_id(contact_id))
    contacts.ask_again(actor=actor_for(account, right.patient_id), contact_id=contact.id)
    return _back(right, _news(contact, WORDS[contact.kind].is_saved))


@blueprint.get(f"{CONTACT}/remove")
@signed_in
def end_contact(contact_id: str) -> Response:
    """Are you sure, and what follows from it."""
    contact, right = contact_for(signed_in_account(), read_public_id(contact_id))
    _if_live(contact, right)
    return page(
        "patient/remove_contact.html",
        title=_(WORDS[contact.kind].remove),
        contact=_way(contact, right.patient),
        consequence=_consequence(contact, right.patient),
        back_url=_url(right),
    )


@blueprint.post(f"{CONTACT}/remove")
@signed_in
def confirm_end(contact_id: str) -> Response:
    """Stop using it."""
    account = signed_in_account()
    contact, right = contact_for(account, read_public_id(contact_id))
    contacts.end_contact(actor=actor_for(account, right.patient_id), contact_id=contact.id)
    return _back(right, _(WORDS[contact.kind].is_removed))


@blueprint.post("/profile/<person_id>/reminders")
@signed_in
def reminders(person_id: str) -> Response:
    """Send reminders from now on, or none."""
    account = signed_in_account()
    right = right_for(account, read_public_id(person_id))
    wanted = request.form.get("wanted")
    if wanted not in ("yes", "no"):
        raise InvalidRequest(N_("Choose whether we send reminders."))
    actor = actor_for(account, right.patient_id)
    want_reminders(actor=actor, patient_id=right.patient_id, wanted=wanted == "yes")
    news = _("We will send reminders again.") if wanted == "yes" else _("We will send no more reminders.")
    return _back(right, news)


@blueprint.route("/verify-email/<token>", methods=["GET", "POST"])
def verify_email(token: str) -> Response:
    """What the link in a mail leads to. Opening it changes nothing: mail programs open links by themselves."""
    public_id = links.read_check(current_app.config["PORTAL"].secret_key, token)
    if public_id is None:
        return page("patient/verify_email.html", status=404, state="old")
    if request.method != "POST":
        return page("patient/verify_email.html", state="asks")
    try:
        contacts.verify_contact(public_id=public_id)
    except (NotFound, NotAllowed):
        return page("patient/verify_email.html", status=404, state="old")
    return page("patient/verify_email.html", state="done")


def _show(right: PatientAccess, rights: list[PatientAccess]) -> Response:
    patient = right.patient
    live = [contact for contact in patient.contact_points if contact.ended_at is None]
    people = [
        {"name": _("You") if _is_own(one) else one.patient.full_name, "href": _url(one), "is_shown": one is right}
        for one in rights
    ]
    return page(
        "patient/profile.html",
        title=_("Your details") if _is_own(right) else _("Details of %(name)s", name=patient.full_name),
        is_own=_is_own(right),
        has_own=_is_own(rights[0]),
        person_id=patient.public_id,
        people=people if len(people) > 1 else [],
        full_name=patient.full_name,
        called_name=patient.called_name,
        mail_language=LANGUAGES[known(patient.preferred_language)],
        born_on=date_plain(patient.birth_on) if patient.birth_on else _("Not known"),
        ways=[_way(contact, patient) for contact in live],
        has_email=any(contact.is_usable and contact.kind == ContactKind.EMAIL for contact in live),
        has_phone=any(contact.is_usable and contact.kind in PHONES for contact in live),
        wants_reminders=patient.reminders_stopped_at is None,
        kinds={kind.value: _(words.one) for kind, words in WORDS.items()},
        needs=told(needs_of(db.session(), patient.id)),
        back_url=check_left(),
    )


def _way(contact: ContactPoint, patient: Patient) -> Way:
    live = [one for one in patient.contact_points if one.is_usable]
    rivals = [one for one in live if one.kind == contact.kind]
    replaced = next((one for one in patient.contact_points if one.id == contact.replaces_id), None)
    return Way(
        public_id=contact.public_id,
        kind=contact.kind.value,
        kind_words=_(WORDS[contact.kind].name),
        value=contact.value,
        whose=None if contact.whose == Relation.SELF else whose_words(contact.whose),
        is_first=len(rivals) > 1 and rivals[0] is contact,
        can_be_first=contact in rivals[1:],
        is_unverified=contact.unverified_since is not None and contact.failed_at is None,
        has_failed=contact.failed_at is not None,
        replaces=replaced.value if replaced and replaced.ended_at is None else None,
    )


def whose_words(whose: Relation) -> str:
    """Whose phone, mailbox or door a contact point is."""
    words = {Relation.SELF: _("Their own"), Relation.PARENT: _("A parent’s"), Relation.CARER: _("A carer’s")}
    return words.get(whose) or _("Somebody else’s")


def _form(
    right: PatientAccess,
    kind: ContactKind,
    title: str,
    value: str,
    whose: str | None,
    error: InvalidRequest | None = None,
) -> Response:
    is_wrong_whose = error is not None and bool(error.facts.get("whose"))
    field = "whose" if is_wrong_whose else "value"
    return page(
        "patient/contact.html",
        status=422 if error else 200,
        title=title,
        label=_(WORDS[kind].name),
        kind=kind.value,
        input={**TYPES[kind], "hint": _(WORDS[kind].hint)},
        value=value,
        whose=_whose_options(right, kind, whose),
        errors=_errors(field, say(error) if error else None),
        back_url=_url(right),
    )


def _whose_options(right: PatientAccess, kind: ContactKind, chosen: str | None) -> list[dict[str, Any]]:
    own = _("Mine") if _is_own(right) else _("%(name)s’s own", name=right.patient.called_name)
    words = {Relation.SELF: own, Relation.PARENT: _("A parent’s"), Relation.CARER: _("A carer’s")}
    chosen = chosen or (Relation.SELF if _is_own(right) else None)
    return [
        {"value": one.value, "label": words[one], "hint": "", "is_checked": one == chosen}
        for one in _offered_whose(right, kind)
    ]


def _offered_whose(right: PatientAccess, kind: ContactKind) -> tuple[Relation, ...]:
    """Who acts for somebody cannot say that a mailbox is that person's own."""
    return WHOSE[1:] if kind == ContactKind.EMAIL and not _is_own(right) else WHOSE


def _read_whose(right: PatientAccess, kind: ContactKind) -> Relation:
    for one in _offered_whose(right, kind):
        if one.value == request.form.get("whose"):
            return one
    raise InvalidRequest(N_("Choose whose it is"), whose=True)


def _consequence(contact: ContactPoint, patient: Patient) -> list[str]:
    """What follows when this one is no longer used."""
    left = [one for one in patient.contact_points if one.is_usable and one is not contact]
    emails = [one for one in left if one.kind == ContactKind.EMAIL]
    if contact.kind == ContactKind.EMAIL and contact.is_usable:
        if emails:
            return [_("We will write to %(email)s instead.", email=emails[0].value)]
        told = [_("This is the only e-mail address that works. Without it we will phone you about appointments.")]
        return told if any(one.kind in PHONES for one in left) else [*told, _(_NO_PHONE)]
    if contact.kind in PHONES and not emails and not any(one.kind in PHONES for one in left):
        return [_("We will have no e-mail address and no phone number that works, and cannot tell you about changes.")]
    return []


_NO_PHONE = N_("We have no phone number either: add one first, or we cannot tell you about changes.")


def _news(contact: ContactPoint, done: str) -> str:
    if contact.kind == ContactKind.EMAIL and contact.unverified_since is not None:
        return _(
            "We are sending a mail to %(email)s. Open the link in it, and we will use this address.",
            email=contact.value,
        )
    return _(done)


def _if_live(contact: ContactPoint, right: PatientAccess) -> PatientAccess:
    if contact.ended_at is not None:
        raise NotFound
    return right


def _is_own(right: PatientAccess) -> bool:
    return right.relation == Relation.SELF


def _url(right: PatientAccess) -> str:
    if _is_own(right):
        return url_for("patient.profile")
    return url_for("patient.person", person_id=right.patient.public_id)


def _back(right: PatientAccess, news: str) -> Response:
    """Back to the details, or to the answers that somebody was checking meanwhile."""
    flash(news, "success")
    return see_other(check_left() or _url(right))


def _errors(field: str, problem: str | None) -> list[Mapping[str, str]]:
    return [{"field": field, "text": problem}] if problem else []
