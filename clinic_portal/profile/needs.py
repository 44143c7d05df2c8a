"""What a patient says they need with their appointments: kept until they say something else."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import audit, clock
from clinic_portal.audit import Actor, ActorKind
from clinic_portal.database import writing
from clinic_portal.errors import InvalidRequest
from clinic_portal.languages import N_
from clinic_portal.models import MAX_NEED_DETAIL, Need, NeedSource, PatientNeed, columns_of
from clinic_portal.profile.values import one_line
from clinic_portal.scheduling.fits import Fit, look_at_visits_ahead
from clinic_portal.scheduling.needs import INTERPRETED, arrange_for_visits_ahead
from clinic_portal.scheduling.people import lock_patient
from clinic_portal.scheduling.requests import note_needs

Wanted = Mapping[Need, str | None]

TOLD = ("kind", "detail", "ended_at")
SOURCE = {ActorKind.PATIENT: NeedSource.PATIENT, ActorKind.PROXY: NeedSource.PROXY}
# What must be said with a need, and how it is asked for when it is missing.
MISSING = {Need.INTERPRETER: N_("Enter the language"), Need.OTHER: N_("Enter what you need")}


@writing
def change_needs(session: Session, *, actor: Actor, patient_id: int, needs: Wanted) -> list[Fit]:
    """Keep exactly these needs; what is no longer among them ends. What still waits for a time is looked for with them.

    Visits that are booked already take longer where that is needed and what follows is free; the desk looks at the
    others that do not meet the needs. Says for which visits it matters, and how.

    Args: needs, each with the language of an interpreter or the patient's own words, None for the others.
    Commits: the needs, audit, and the requests that wait; visits that take longer now with their cells and messages;
    for visits ahead the tasks about an interpreter, if one is needed now and was not before, and about visits that do
    not meet the needs; rings.
    Raises: InvalidRequest naming the need as `need`, NotAllowed, NotFound.
    """
    wanted = clean_needs(needs)
    lock_patient(session, patient_id)
    live = {row.kind: row for row in session.scalars(_LIVE.where(PatientNeed.patient_id == patient_id))}
    for kind, row in live.items():
        if kind not in wanted or wanted[kind] != row.detail:
            _end(session, actor, row)
    # The old row must be out of the way: one live row for each need.
    session.flush()
    for kind, detail in wanted.items():
        if kind not in live or live[kind].ended_at is not None:
            _add(session, actor, patient_id, kind, detail)
    if bool(INTERPRETED & live.keys()) != (is_needed := bool(INTERPRETED & wanted.keys())):
        arrange_for_visits_ahead(session, patient_id, is_needed=is_needed)
    note_needs(session, actor, patient_id, wanted)
    return look_at_visits_ahead(session, actor, patient_id, wanted)


_LIVE = select(PatientNeed).where(PatientNeed.ended_at.is_(None)).order_by(PatientNeed.id)


def clean_needs(needs: Wanted) -> dict[Need, str | None]:
    """The needs as they are kept.

    Raises: InvalidRequest when words are missing or too long, or two needs exclude each other.
    """
    if {Need.FEMALE_CLINICIAN, Need.MALE_CLINICIAN} <= needs.keys():
        raise InvalidRequest(N_("Choose to see a woman or to see a man, not both"), need=Need.FEMALE_CLINICIAN)
    return {need: _clean(need, needs[need]) for need in Need if need in needs}


def _clean(need: Need, words: str | None) -> str | None:
    if need not in MISSING:
        return None
    text = one_line(words)
    if not any(letter.isalpha() for letter in text):
        raise InvalidRequest(MISSING[need], need=need, is_detail=True)
    if len(text) > MAX_NEED_DETAIL:
        raise InvalidRequest(N_("Use %(most)s characters or fewer."), most=MAX_NEED_DETAIL, need=need, is_detail=True)
    return text


def _end(session: Session, actor: Actor, row: PatientNeed) -> None:
    before = columns_of(row, TOLD)
    row.ended_at = clock.now()
    after = columns_of(row, TOLD)
    audit.record(session, actor, "end_need", row, before=before, after=after, patient_id=row.patient_id)


def _add(session: Session, actor: Actor, patient_id: int, kind: Need, detail: str | None) -> None:
    source = SOURCE.get(actor.kind, NeedSource.STAFF)
    row = PatientNeed(patient_id=patient_id, kind=kind, detail=detail, asked_at=clock.now(), source=source)
    session.add(row)
    session.flush()
    audit.record(session, actor, "add_need", row, after=columns_of(row, TOLD), patient_id=patient_id)
