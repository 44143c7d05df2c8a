"""Who did what: the actor of a change, and the rows that remember it in the same transaction."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import run
from clinic_portal.models import AuditEntry, AuditValues

# Set by the web for the length of a request, so that a log line and an audit row can be put side by side.
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


class ActorKind(enum.StrEnum):
    """In which role somebody acts; `proxy` is an account acting for another person."""

    PATIENT = "patient"
    PROXY = "proxy"
    PRACTITIONER = "practitioner"
    STAFF = "staff"
    SYSTEM = "system"


_ENTRY = insert(AuditEntry).returning(AuditEntry.id)
_ENTRIES = insert(AuditEntry).returning(AuditEntry.id, sort_by_parameter_order=True)
_VALUES = insert(AuditValues)


@dataclass(frozen=True)
class Actor:
    """Somebody, or the portal itself, doing something."""

    kind: ActorKind
    account_id: int | None = None

    @property
    def is_clinic(self) -> bool:
        return self.kind in (ActorKind.STAFF, ActorKind.PRACTITIONER, ActorKind.SYSTEM)


SYSTEM = Actor(ActorKind.SYSTEM)


@dataclass(frozen=True)
class Change:
    """One of many changes that are written down together."""

    action: str
    subject: Any
    patient_id: int | None
    before: dict[str, Any]
    after: dict[str, Any]


def record(
    session: Session,
    actor: Actor,
    action: str,
    subject: Any,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    patient_id: int | None = None,
) -> None:
    """Write one audit entry inside the caller's transaction; the subject must already have its id."""
    entry_id = run(session, _ENTRY, _entry(actor, action, subject, patient_id)).scalar_one()
    run(session, _VALUES, {"audit_entry_id": entry_id, "before": before or {}, "after": after or {}})


def record_all(session: Session, actor: Actor, changes: Sequence[Change]) -> None:
    """Write many entries at once, inside the caller's transaction."""
    if not changes:
        return
    entries = [_entry(actor, change.action, change.subject, change.patient_id) for change in changes]
    ids = run(session, _ENTRIES, entries).scalars().all()
    values = [
        {"audit_entry_id": entry_id, "before": change.before, "after": change.after}
        for entry_id, change in zip(ids, changes, strict=True)
    ]
    run(session, _VALUES, values)


def _entry(actor: Actor, action: str, subject: Any, patient_id: int | None) -> dict[str, Any]:
    return {
        "made_at": clock.now(),
        "actor_kind": actor.kind.value,
        "actor_account_id": actor.account_id,
        "for_patient_id": patient_id,
        "action": action,
        "subject_type": subject.__tablename__,
        "subject_id": subject.id,
        "request_id": request_id.get(),
    }
