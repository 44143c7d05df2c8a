"""At which mailbox a patient is told something, as a part of other queries."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, not_, or_, select

from clinic_portal.models import ContactKind, ContactPoint, Patient, Relation

# Written against the tables themselves, and made once: it runs inside every reservation.
_patient, _contact = Patient.__table__.c, ContactPoint.__table__.c


def first_email(is_private: ColumnElement[bool]) -> ScalarSelect[Any]:
    """The id of the best mailbox of the patient whom the query around it is about; null when there is none.

    Args: is_private, whether only the patient may read it: a mailbox that somebody else reads would tell them.
    """
    return (
        select(_contact.id)
        .where(
            _contact.patient_id == _patient.id,
            _contact.kind == ContactKind.EMAIL,
            _contact.ended_at.is_(None),
            _contact.failed_at.is_(None),
            _contact.unverified_since.is_(None),
            or_(not_(is_private), _contact.whose == Relation.SELF),
        )
        .order_by(_contact.preferred_rank, _contact.id)
        .limit(1)
        .scalar_subquery()
    )
