"""How somebody is reached, as pages tell it: enough to know which address or number is meant, and no more."""

from __future__ import annotations

from clinic_portal.languages import _
from clinic_portal.models import ContactKind, ContactPoint, Patient
from clinic_portal.wording import masked_address, masked_number

PHONES = (ContactKind.MOBILE, ContactKind.LANDLINE)


def phones_of(patient: Patient) -> list[ContactPoint]:
    """The numbers under which somebody can be called, the preferred one first."""
    return [point for point in patient.contact_points if point.is_usable and point.kind in PHONES]


def way_told(patient: Patient) -> str:
    """How news about a visit reaches a patient; only what will really happen."""
    emails = [point for point in patient.contact_points if point.is_usable and point.kind == ContactKind.EMAIL]
    if emails:
        return _("We will e-mail %(address)s", address=masked_address(emails[0].value))
    if phones := phones_of(patient):
        return _("We will call %(number)s", number=masked_number(phones[0].value))
    return _("We have no way to reach you. Please note down what you book.")
