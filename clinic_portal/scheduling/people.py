"""The patient's row as the lock under which everything of one patient happens in order."""

from __future__ import annotations

from sqlalchemy import Select, bindparam, or_, select
from sqlalchemy.orm import Session

from clinic_portal.database import run
from clinic_portal.errors import NotAllowed, NotFound
from clinic_portal.models import Patient

# FOR NO KEY UPDATE: a plain FOR UPDATE deadlocks against the foreign keys of rows that others insert.
_LOCK = (
    select(Patient.id, Patient.deceased_on, Patient.merged_into_id)
    .where(Patient.id == bindparam("patient_id"))
    .with_for_update(key_share=True)
)


def records_of(patient_id: int) -> Select[int]:
    """The ids of a patient's record and of those that were joined into it: what is append-only still names these."""
    return select(Patient.id).where(or_(Patient.id == patient_id, Patient.merged_into_id == patient_id))


def lock_patient(session: Session, patient_id: int, *, for_new_time: bool = True) -> None:
    """Let nobody else book, move or cancel for this patient until the transaction ends.

    Args: for_new_time, false where a visit is only ended: the visits of somebody who died must still be cancelled.
    Raises: NotFound, NotAllowed when the patient has died or the record was joined with another.
    """
    row = run(session, _LOCK, {"patient_id": patient_id}).one_or_none()
    if row is None:
        raise NotFound
    if not for_new_time:
        return
    if row.deceased_on is not None or row.merged_into_id is not None:
        raise NotAllowed
