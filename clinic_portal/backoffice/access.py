"""Who may look into the back office, and at which locations (UC7.7)."""

from __future__ import annotations

from typing import Any

from flask import g
from flask_login import current_user
from sqlalchemy import select

from clinic_portal.accounts import STAFF
from clinic_portal.accounts.asking import to_sign_in
from clinic_portal.database import db
from clinic_portal.errors import NotAllowed
from clinic_portal.models import AccessPlace, Role, RoleGrant, RoleName
from clinic_portal.profile.access import record_opening

ADMINS = (RoleName.ADMIN,)

Grants = list[tuple[str, int | None]]


def may_open(roles: tuple[RoleName, ...]) -> bool:
    """Whether the signed-in account has one of these roles, anywhere."""
    return any(name in roles for name, _ in _grants())


def location_limit(roles: tuple[RoleName, ...]) -> frozenset[int] | None:
    """The only locations that the account's roles reach, or None when they reach every location."""
    reached = {location_id for name, location_id in _grants() if name in roles}
    if None in reached:
        return None
    return frozenset(location_id for location_id in reached if location_id is not None)


def may_change_settings() -> bool:
    """Whether the signed-in account administers the whole clinic: what is set counts at every location."""
    return may_open(ADMINS) and location_limit(ADMINS) is None


def _grants() -> Grants:
    if not current_user.is_authenticated:
        return []
    # Asked for by the page and by every entry of its menu.
    if "backoffice_grants" not in g:
        query = select(Role.name, RoleGrant.location_id).join(RoleGrant.role)
        rows = db.session.execute(query.where(RoleGrant.account_id == current_user.id))
        g.backoffice_grants = [(row.name, row.location_id) for row in rows]
    grants: Grants = g.backoffice_grants
    return grants


def note_opening(patient_id: int, place: AccessPlace) -> None:
    """Write down that the person looking opens a patient's record. What was read before must be read again."""
    held = {name for name, _ in _grants()}
    role = next(role for role in STAFF if role in held)
    record_opening(account_id=current_user.id, role=role, patient_id=patient_id, place=place)


class Guarded:
    """A page that only some roles may open: the others are refused, and who is signed out is asked to sign in."""

    roles: tuple[RoleName, ...] = STAFF
    # False for pages that cannot be narrowed to a location: then only roles that reach every location open them.
    knows_locations = True

    def is_accessible(self) -> bool:
        return may_open(self.roles) and (self.knows_locations or self.limit is None)

    @property
    def limit(self) -> frozenset[int] | None:
        """The only locations whose records this page may show, or None for all."""
        return location_limit(self.roles)

    def inaccessible_callback(self, _name: str, **_: Any) -> Any:
        if current_user.is_authenticated:
            raise NotAllowed
        return to_sign_in()
