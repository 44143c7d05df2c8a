"""What an audit entry changed, said so that a person can read it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from clinic_portal.backoffice import words
from clinic_portal.models import AuditEntry, Status

# Names of the records that an entry can be about.
SUBJECT = {
    "appointments": "Appointment",
    "patients": "Patient",
    "accounts": "Account",
    "holds": "Kept time",
    "settings": "Setting",
    "practitioners": "Clinician",
    "availability_rules": "Weekly hours",
    "availability_exceptions": "Hours off or extra",
    "absences": "Absence",
    "closures": "Closure",
    "sessions": "Session",
    "notifications": "Message",
    "sign_ins": "Sign-in",
    "account_invitations": "Code for an account",
    "contact_points": "Contact",
    "patient_access": "Right to act",
    "patient_needs": "Need",
    "tasks": "Task",
    "referrals": "Referral",
    "visit_types": "Visit type",
}
# Which table of names an id belongs to.
NAMED_BY = {"practitioner_id": "practitioners", "location_id": "locations", "visit_type_id": "visit_types"}

Names = Mapping[str, Mapping[int, str]]


def changes(entry: AuditEntry, zone: str, names: Names) -> list[str]:
    """One line for each value that differs: "Status: Booked, was Asked for"."""
    if entry.values is None:
        return []
    before, after = entry.values.before or {}, entry.values.after or {}
    different = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    return [_line(key, before.get(key), after.get(key), zone, names) for key in different]


def _line(key: str, before: Any, after: Any, zone: str, names: Names) -> str:
    label = words.code(key.removesuffix("_id").removesuffix("_at").removesuffix("_on"))
    new, old = _value(key, after, zone, names), _value(key, before, zone, names)
    return f"{label}: {new}" if before is None else f"{label}: {new}, was {old}"


def _value(key: str, value: Any, zone: str, names: Names) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return words.yes_no(value).lower()
    if key in NAMED_BY:
        return names.get(NAMED_BY[key], {}).get(value, str(value))
    if key == "status":
        return words.STATUS.get(Status(value), value) if value in set(Status) else str(value)
    return _moment(value, zone) if key.endswith("_at") else str(value)


def _moment(value: Any, zone: str) -> str:
    try:
        return words.moment(datetime.fromisoformat(value), zone)
    except (TypeError, ValueError):
        return str(value)
