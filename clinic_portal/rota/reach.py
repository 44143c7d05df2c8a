"""Whose hours somebody may set: doctors their own, staff those of everybody at their places (UC7.7)."""

from __future__ import annotations

from sqlalchemy import exists, or_, select

from clinic_portal.accounts import STAFF, actor_of, signed_in_account
from clinic_portal.audit import Actor
from clinic_portal.database import db
from clinic_portal.errors import NotAllowed, NotFound
from clinic_portal.models import AvailabilityRule, Practitioner, Role, RoleGrant, RoleName


def actor() -> Actor:
    """The person at the page, as the services know them."""
    return actor_of(signed_in_account())


def is_staff() -> bool:
    """Whether the person at the page sets the hours of others."""
    return signed_in_account().has_role_name(*STAFF)


def reachable() -> list[Practitioner]:
    """Everybody whose hours the person at the page may set, by name."""
    query = select(Practitioner).where(Practitioner.is_active).order_by(Practitioner.name, Practitioner.id)
    if not is_staff():
        query = query.where(Practitioner.account_id == signed_in_account().id)
    elif (places := _only_places()) is not None:
        here = exists().where(AvailabilityRule.practitioner_id == Practitioner.id)
        anywhere = exists().where(AvailabilityRule.practitioner_id == Practitioner.id)
        query = query.where(or_(here.where(AvailabilityRule.location_id.in_(places)), ~anywhere))
    return list(db.session().scalars(query))


def practitioner_of(public_id: str) -> Practitioner:
    """One of them. Raises: NotFound."""
    found = {one.public_id: one for one in reachable()}
    if public_id not in found:
        raise NotFound
    return found[public_id]


def only_for_all_places() -> None:
    """Refuse whoever does not look after the whole clinic. Raises: NotAllowed."""
    if not is_staff() or _only_places() is not None:
        raise NotAllowed


def _only_places() -> set[int] | None:
    """The only places that a member of staff looks after; None for all."""
    grants = select(RoleGrant.location_id).join(Role, Role.id == RoleGrant.role_id)
    mine = grants.where(RoleGrant.account_id == signed_in_account().id, Role.name.in_([role.value for role in STAFF]))
    places = set(db.session().scalars(mine))
    return None if None in places else {place for place in places if place is not None}


MAY_SET = (*STAFF, RoleName.PRACTITIONER)
