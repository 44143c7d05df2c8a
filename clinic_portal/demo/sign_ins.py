"""The accounts of the demo clinic: who signs in, with which password, in which role."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal.languages import N_
from clinic_portal.models import Account, Role, RoleGrant, RoleName
from clinic_portal.profile.notice import VERSION

# Printed at every start of a demo; no production database ever holds it, because `seed` refuses one.
PASSWORD = "harbour-demo"  # noqa: S105
DESK_EMAIL, ADMIN_EMAIL = "desk@example.org", "admin@example.org"
TEENAGER_EMAIL = "anjali.sharma@example.com"
SIGN_INS = (
    (N_("A patient"), "maya.fernandes@example.com"),
    (N_("A mother of two"), "joanna.nowak@example.com"),
    (N_("A daughter who helps her father"), "helen.whitfield@example.com"),
    (N_("A 15-year-old with a private visit"), TEENAGER_EMAIL),
    (N_("Her mother, who does not see it"), "meera.sharma@example.com"),
    (N_("A doctor"), "amara.okafor@example.org"),
    (N_("Front desk"), DESK_EMAIL),
    (N_("Administrator"), ADMIN_EMAIL),
)
CLINIC_ROLES = (RoleName.PRACTITIONER, RoleName.FRONT_DESK, RoleName.ADMIN)


@dataclass(frozen=True)
class AccountBook:
    """Opens accounts. Those of the sign-ins and of the clinic share one password hash; the others have none."""

    session: Session
    rng: random.Random
    password_hash: str
    made_at: datetime
    roles: dict[RoleName, Role]

    def open(self, email: str, role: RoleName) -> Account:
        known = role in CLINIC_ROLES or any(email == address for _, address in SIGN_INS)
        account = Account(email=email, password=self.password_hash if known else None, created_at=self.made_at,
                          confirmed_at=self.made_at, fs_uniquifier=self.rng.randbytes(16).hex(),
                          privacy_notice_version=VERSION)  # fmt: skip
        account.grants.append(RoleGrant(role=self.roles[role]))
        self.session.add(account)
        return account


def all_roles(session: Session) -> dict[RoleName, Role]:
    """Every role, made where it is missing."""
    kept = {role.name: role for role in session.scalars(select(Role))}
    roles = {name: kept.get(name.value) or Role(name=name.value) for name in RoleName}
    session.add_all(roles.values())
    return roles
