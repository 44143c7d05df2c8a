"""Keep this appointment private from people who book for me: asked while the answers are checked."""

from __future__ import annotations

from flask import request

from clinic_portal import clock
from clinic_portal.accounts import actor_for
from clinic_portal.audit import ActorKind
from clinic_portal.database import db
from clinic_portal.models import Account, Hold
from clinic_portal.patient.reading import read_private
from clinic_portal.scheduling.privacy import is_acted_for, is_private_by_default


def asks_private(account: Account, patient_id: int) -> bool:
    """Whether there is anybody to keep a new visit from, and the patient is asking."""
    is_own = actor_for(account, patient_id).kind is ActorKind.PATIENT
    return is_own and is_acted_for(db.session(), patient_id)


def is_private(kept: Hold) -> bool:
    """Whether the box is ticked before somebody has answered."""
    day = clock.local_date(kept.starts_at, kept.location.zone)
    return is_private_by_default(db.session(), kept.patient_id, day, is_sensitive=kept.visit_type.is_sensitive)


def private_answer(account: Account, patient_id: int) -> bool | None:
    """What was answered, where it was asked: the box that is not ticked sends nothing by itself."""
    given = request.form.getlist("private")
    return read_private(given[-1]) if given and asks_private(account, patient_id) else None
