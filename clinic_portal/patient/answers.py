"""What somebody has answered on the way to a booking: it travels in the address, as ids that tell nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from flask import url_for
from sqlalchemy import Integer, bindparam, exists, select, type_coerce
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from clinic_portal import clock
from clinic_portal.accounts import actor_for, patients_for, public_id_now
from clinic_portal.database import db, remembered
from clinic_portal.errors import ModeNotOffered, NotAllowed, NotBookableOnline, NotFound
from clinic_portal.languages import N_
from clinic_portal.models import (
    MODE_BIT,
    REMOTE,
    Account,
    Audience,
    ClinicSession,
    ContinuityWish,
    Hold,
    Location,
    Mode,
    Need,
    Patient,
    Practitioner,
    PractitionerVisitType,
    SessionStatus,
    VisitInvitation,
    VisitType,
    let_in,
    lets_in,
)
from clinic_portal.patient.reading import (
    read_continuity,
    read_mode,
    read_public_id,
    read_safety,
    read_token,
    write_safety,
)
from clinic_portal.patient.wish_form import read_wishes, write_wishes
from clinic_portal.profile.needs_form import read_ticked
from clinic_portal.scheduling import masks
from clinic_portal.scheduling.invitations import open_invitations
from clinic_portal.scheduling.modes import offered_modes
from clinic_portal.scheduling.safety import SafetyAnswer, from_kept
from clinic_portal.scheduling.search import Search, Terms, load_terms
from clinic_portal.scheduling.wishes import Wishes
from clinic_portal.settings import load_settings
from clinic_portal.unchanged import kept_while_unchanged

ANY_PLACE = "any"


@dataclass(frozen=True)
class Answers:
    """The answers so far; None where a question has not been answered. Without `location` any place will do."""

    patient: Patient | None = None
    visit_type: VisitType | None = None
    safety: SafetyAnswer | None = None
    mode: Mode | None = None
    any_place: bool = False
    location: Location | None = None
    needs: frozenset[Need] | None = None
    continuity: ContinuityWish = ContinuityWish.NONE
    # The kept time whose answers are being changed.
    kept_id: str | None = None
    # What the clinic asked to book, if it did.
    invitation_id: str | None = None
    # Whether the clinic is asked for an appointment, instead of a time being chosen; and which request is changed, if
    # there is one already.
    asks: bool = False
    wishes: Wishes | None = None
    request_id: str | None = None
    # Of the form that sends it in the end: whoever goes back and sends it again has sent it once.
    token: str | None = None
    # Whether there was anything to choose from.
    has_several_people: bool = True
    has_several_modes: bool = True
    has_several_places: bool = True

    def query(self) -> dict[str, str | list[str]]:
        """The answers as they travel in an address."""
        found: dict[str, str | list[str]] = {}
        if self.patient:
            found["patient"] = self.patient.public_id
        if self.visit_type:
            found["visit_type"] = self.visit_type.public_id
        if self.safety and self.visit_type and self.patient:
            found["safety"] = write_safety(self.safety, self.patient, self.visit_type)
        if self.mode:
            found["mode"] = self.mode.value
        if self.mode not in REMOTE and (self.any_place or self.location):
            found["place"] = self.location.public_id if self.location else ANY_PLACE
        if self.needs is not None:
            found["needs"] = sorted(self.needs) or ["none"]
        if self.continuity is not ContinuityWish.NONE:
            found["same"] = self.continuity.value
        if self.kept_id:
            found["kept"] = self.kept_id
        if self.invitation_id:
            found["invitation"] = self.invitation_id
        return found | self._asked()

    def _asked(self) -> dict[str, str | list[str]]:
        if not self.asks:
            return {}
        named = {"request": self.request_id, "token": self.token}
        found: dict[str, str | list[str]] = {"ask": "yes", **{name: one for name, one in named.items() if one}}
        return found | (write_wishes(self.wishes) if self.wishes else {})

    def search(self, account: Account) -> Search:
        """What these answers look for; all questions must have been answered."""
        assert self.patient is not None
        assert self.visit_type is not None
        return Search(
            visit_type_id=self.visit_type.id,
            patient_id=self.patient.id,
            location_id=self.location.id if self.location else None,
            needs=self.needs or frozenset(),
            mode=self.mode or Mode.IN_PERSON,
            continuity=self.continuity,
            account_id=account.id,
            by=actor_for(account, self.patient.id).kind,
            safety=self.safety,
            invitation_id=self._invitation().id if self.invitation_id else None,
        )

    def _invitation(self) -> VisitInvitation:
        assert self.patient is not None
        return invitation_for(self.patient.id, self.invitation_id or "")

    def url(self, endpoint: str, **more: str) -> str:
        """The address of a page that goes on from these answers."""
        return url_for(endpoint, **self.query(), **more)  # type: ignore[arg-type]

    def next_url(self) -> str:
        """The first question that is still open, else the times, or the request to be checked."""
        return self.url(self.open_question() or ("patient.check_request" if self.asks else "patient.times"))

    def open_question(self) -> str | None:
        """The page of the first question without an answer."""
        if self.patient is None:
            return "patient.who"
        if self.visit_type is None:
            return "patient.visit_type"
        if self.visit_type.may_be_acute and self.safety is None:
            return "patient.emergency"
        if self.mode is None:
            return "patient.how"
        if not (self.any_place or self.location):
            return "patient.place"
        if self.needs is None:
            return "patient.help_needed"
        return "patient.wish" if self.asks and self.wishes is None else None

    def back_url(self, question: str) -> str:
        """The page before a question; questions with only one possible answer were never asked.

        Whoever came from checking to change one answer goes back to checking, where the way to the times begins.
        """
        if self.kept_id and question != "patient.times":
            return url_for("patient.check", public_id=self.kept_id)
        if self.wishes and self.open_question() is None:
            return self.url("patient.check_request")
        was_asked = {
            "patient.who": self.has_several_people,
            "patient.visit_type": True,
            "patient.emergency": bool(self.visit_type and self.visit_type.may_be_acute),
            "patient.how": self.has_several_modes,
            "patient.place": self.has_several_places,
            "patient.help_needed": True,
            "patient.wish": self.asks,
            "patient.times": not self.asks,
        }
        asked = [name for name, was in was_asked.items() if was]
        index = asked.index(question) if question in asked else 0
        return self.url(asked[index - 1]) if index else url_for("patient.home")


def read_answers(account: Account, values: MultiDict[str, str], *, asks_limits: bool = True) -> Answers:
    """The answers in an address, and those that need no question because there is only one.

    Args: asks_limits, false where a service asks them anyway, under its locks.
    Raises: NotFound for ids of nothing that this account may choose; NotBookableOnline for what it may not book;
    InvalidRequest; NotAllowed for accounts that act for nobody.
    """
    patients = patients_for(account)
    if not patients:
        raise NotAllowed
    only = patients[0] if len(patients) == 1 else None
    answers = Answers(
        only,
        needs=read_ticked(values.getlist("needs")),
        continuity=read_continuity(values.get("same")),
        kept_id=read_public_id(kept) if (kept := values.get("kept")) else None,
        invitation_id=read_public_id(invited) if (invited := values.get("invitation")) else None,
        has_several_people=only is None,
        **(_asking(values) if values.get("ask") else {}),
    )
    if public_id := values.get("patient"):
        answers = with_patient(answers, patients, public_id)
    if public_id := values.get("visit_type"):
        answers = with_visit_type(account, answers, public_id, asks_limits=asks_limits)
        if mode := values.get("mode"):
            answers = with_mode(answers, read_mode(mode))
    if (public_id := values.get("place")) and answers.mode not in REMOTE:
        answers = with_place(answers, public_id)
    return with_safety(answers, values.get("safety"))


def _asking(values: MultiDict[str, str]) -> dict[str, Any]:
    """What an address says about a request to the clinic."""
    request_id, token = values.get("request"), values.get("token")
    return {
        "asks": True,
        "wishes": read_wishes(values) if values.get("weekdays") else None,
        "request_id": read_public_id(request_id) if request_id else None,
        "token": read_token(token) if token else None,
    }


def with_patient(answers: Answers, patients: list[Patient], public_id: str) -> Answers:
    """The answers for another of these people.

    Raises: NotFound when it is none of them.
    """
    known, wanted = {one.public_id: one for one in patients}, read_public_id(public_id)
    found = known.get(wanted) or known.get(public_id_now(wanted))
    if found is None:
        raise NotFound
    return _for_another(replace(answers, patient=found, safety=None), answers.patient, found)


def _for_another(answers: Answers, before: Patient | VisitType | None, now: Patient | VisitType) -> Answers:
    """An invitation is for one person and one kind of visit."""
    return answers if before in (None, now) else replace(answers, invitation_id=None)


def with_visit_type(account: Account, answers: Answers, public_id: str, *, asks_limits: bool = True) -> Answers:
    """The answers with another visit type.

    Args: asks_limits, as for `read_answers`.
    Raises: NotFound when it is not offered; NotBookableOnline when not to this patient.
    """
    wanted = read_public_id(public_id)
    found = next((one for one in offered_visit_types(db.session()) if one.public_id == wanted), None)
    if found is None:
        raise NotFound
    if asks_limits and (refusal := refusal_of(account, replace(answers, visit_type=found))):
        raise refusal
    answers = _for_another(answers, answers.visit_type, found)
    modes = modes_for(db.session(), found)
    if len(modes) == 1:
        return with_mode(replace(answers, visit_type=found, safety=None), modes[0])
    kept = replace(answers, visit_type=found, safety=None, has_several_modes=True)
    return with_mode(kept, answers.mode) if answers.mode in modes else replace(kept, mode=None)


def with_mode(answers: Answers, mode: Mode) -> Answers:
    """The answers with another mode; where there is no choice of places there is no question about them.

    Raises: ModeNotOffered.
    """
    visit_type = answers.visit_type
    assert visit_type is not None
    modes = modes_for(db.session(), visit_type)
    if mode not in modes:
        raise ModeNotOffered
    # For a visit by phone nobody was asked where.
    was_asked = answers.any_place and answers.mode not in REMOTE
    answers = replace(answers, mode=mode, has_several_modes=len(modes) > 1)
    if mode in REMOTE:
        return replace(answers, any_place=True, location=None, has_several_places=False)
    has_several = has_several_places(db.session(), visit_type)
    any_place = was_asked or not (has_several or answers.location)
    return replace(answers, any_place=any_place, has_several_places=has_several)


def with_place(answers: Answers, public_id: str) -> Answers:
    """The answers with another place, or with any.

    Raises: NotFound when there is no such place.
    """
    if public_id == ANY_PLACE:
        return replace(answers, any_place=True, location=None)
    location = db.session().scalar(select(Location).filter_by(public_id=read_public_id(public_id), is_active=True))
    if location is None:
        raise NotFound
    return replace(answers, any_place=False, location=location)


def with_safety(answers: Answers, code: str | None) -> Answers:
    """The answers with that to the emergency check, if it still stands: else the question is asked again."""
    if not code or answers.patient is None or answers.visit_type is None:
        return answers
    safety = read_safety(code, answers.patient, answers.visit_type)
    stands = safety is not None and safety.stands(_safety_texts(answers.visit_type), clock.now())
    return replace(answers, safety=safety if stands else None)


def safety_text(session: Session, visit_type: VisitType) -> str:
    """What the clinic lists as signs of an emergency before such a visit, in the reader's language."""
    return load_settings(session).text("emergency_signs", visit_type.id)


def _safety_texts(visit_type: VisitType) -> tuple[str, ...]:
    """The same in all languages: whoever changes the language meanwhile has answered all the same."""
    return load_settings(db.session()).texts("emergency_signs", visit_type.id)


def answers_of(account: Account, hold: Hold) -> Answers:
    """The answers that led to a kept time."""
    location_id = hold.wishes["location_id"]
    is_remote = hold.mode in REMOTE
    return Answers(
        patient=hold.patient,
        visit_type=hold.visit_type,
        safety=from_kept(hold.safety_answer),
        any_place=location_id is None,
        location=db.session().get(Location, location_id) if location_id else None,
        needs=frozenset(Need(value) for value in hold.wishes["needs"]),
        mode=hold.mode,
        continuity=ContinuityWish(hold.wishes["continuity"]),
        invitation_id=_invitation_of(hold),
        has_several_people=len(patients_for(account)) > 1,
        has_several_modes=len(modes_for(db.session(), hold.visit_type)) > 1,
        has_several_places=not is_remote and has_several_places(db.session(), hold.visit_type),
    )


def _invitation_of(hold: Hold) -> str | None:
    """The invitation for which a time is kept; one that has been used or taken back meanwhile limits nothing more."""
    if (invitation_id := hold.wishes.get("invitation_id")) is None:
        return None
    found = db.session().get(VisitInvitation, invitation_id)
    return found.public_id if found is not None and found.is_open(clock.now()) else None


def invitation_for(patient_id: int, public_id: str) -> VisitInvitation:
    """One of the open invitations of a patient. Raises: NotFound."""
    found = {one.public_id: one for one in open_invitations(db.session(), [patient_id])}
    if public_id not in found:
        raise NotFound(N_("This invitation cannot be used any more."))
    return found[public_id]


_IS_DONE = (
    exists()
    .where(PractitionerVisitType.visit_type_id == VisitType.id, PractitionerVisitType.is_active)
    .where(Practitioner.id == PractitionerVisitType.practitioner_id, Practitioner.is_active)
)
_OFFERED = select(VisitType).where(VisitType.is_active, _IS_DONE).order_by(VisitType.sort_order, VisitType.name)
_IS_WORKED = (
    exists()
    .where(ClinicSession.first_cell >= bindparam("first_cell"))
    .where(type_coerce(ClinicSession.modes, Integer).bitwise_and(bindparam("mode", type_=Integer)) != 0)
    .where(ClinicSession.status == SessionStatus.PLANNED, ClinicSession.audience == Audience.PUBLIC)
    .where(lets_in(ClinicSession.visit_type_ids))
    .where(PractitionerVisitType.practitioner_id == ClinicSession.practitioner_id)
    .where(PractitionerVisitType.visit_type_id == bindparam("visit_type_id"), PractitionerVisitType.is_active)
)
_IS_WORKED_AT = _IS_WORKED.where(ClinicSession.location_id == Location.id)
_IS_MODE_WORKED = select(_IS_WORKED)
_PLACES = select(Location).where(Location.is_active, _IS_WORKED_AT).order_by(Location.name)


def offered_visit_types(session: Session) -> list[VisitType]:
    """The visit types that somebody does, in a way that patients can choose."""
    settings = load_settings(session)
    return [one for one in session.scalars(_OFFERED) if offered_modes(one.modes, settings)]


def refusal_of(account: Account, answers: Answers) -> NotBookableOnline | None:
    """Why the chosen person may not book the chosen visit type, if so; nothing while nobody is chosen."""
    if answers.patient is None or answers.visit_type is None:
        return None
    # The limits are the same in every mode.
    mode = offered_modes(answers.visit_type.modes, load_settings(db.session()))[0]
    anyhow = replace(answers, mode=mode, any_place=True, location=None, needs=frozenset(), invitation_id=None)
    return terms_for(anyhow.search(account)).refusal()


def terms_for(search: Search) -> Terms:
    """The terms of a search, made once while a page reads.

    Raises: as `load_terms`.
    """
    session = db.session()
    memory = remembered(session)
    if memory is None:
        return load_terms(session, search)
    if search not in memory:
        memory[search] = load_terms(session, search)
    terms: Terms = memory[search]
    return terms


def modes_for(session: Session, visit_type: VisitType) -> list[Mode]:
    """The modes of a visit type for which somebody works today or later; all that are offered if nobody does."""
    offered = offered_modes(visit_type.modes, load_settings(session))
    if len(offered) == 1:
        return offered
    values, kept = _from_today(session, visit_type), kept_while_unchanged(session)
    key = (_IS_MODE_WORKED, *offered, *values.values())
    if key not in kept:
        worked = [one for one in offered if session.scalar(_IS_MODE_WORKED, {**values, "mode": MODE_BIT[one]})]
        kept[key] = worked or offered
    modes: list[Mode] = kept[key]
    return modes


def places_for(session: Session, visit_type: VisitType) -> list[Location]:
    """The places where somebody who does such visits in person works today or later."""
    values = {**_from_today(session, visit_type), "mode": MODE_BIT[Mode.IN_PERSON]}
    return list(session.scalars(_PLACES, values))


def has_several_places(session: Session, visit_type: VisitType) -> bool:
    """Whether there is a choice of places; known without asking while nothing has changed."""
    values, kept = _from_today(session, visit_type), kept_while_unchanged(session)
    key = (_PLACES, *values.values())
    if key not in kept:
        kept[key] = len(places_for(session, visit_type)) > 1
    return bool(kept[key])


def _from_today(session: Session, visit_type: VisitType) -> dict[str, Any]:
    grid_min = load_settings(session).number("grid_min")
    today = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    return {
        "first_cell": masks.to_cell(today, grid_min),
        "visit_type_id": visit_type.id,
        **let_in(visit_type.id),
    }
