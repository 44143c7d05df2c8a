"""In which language the clinic writes to a patient."""

from __future__ import annotations

from sqlalchemy.orm import Session

from clinic_portal import audit
from clinic_portal.audit import Actor
from clinic_portal.database import writing
from clinic_portal.errors import InvalidRequest
from clinic_portal.languages import LANGUAGES, N_
from clinic_portal.models import Patient, columns_of
from clinic_portal.scheduling.people import lock_patient


@writing
def change_mail_language(session: Session, *, actor: Actor, patient_id: int, language: str) -> None:
    """Write to a patient in another language from now on; messages that wait to leave are written in it too.

    Commits: the language.
    Raises: InvalidRequest for a language that the portal does not speak; NotAllowed, NotFound.
    """
    if language not in LANGUAGES:
        raise InvalidRequest(N_("Choose a language"))
    lock_patient(session, patient_id)
    patient = session.get_one(Patient, patient_id)
    if patient.preferred_language == language:
        return
    before = columns_of(patient, ("preferred_language",))
    patient.preferred_language = language
    after = columns_of(patient, ("preferred_language",))
    audit.record(session, actor, "change_mail_language", patient, before=before, after=after, patient_id=patient_id)
