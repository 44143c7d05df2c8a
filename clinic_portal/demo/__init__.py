"""The demo clinic: a made-up clinic with a past and a future around today, to try everything out.

Made by chance that falls the same way every time: two clinics of the same day are alike in every row, but for the
password hash and for how far today's visits have come.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from flask import current_app
from flask_security.utils import hash_password
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import SYSTEM, record
from clinic_portal.config import Config
from clinic_portal.database import db, writing
from clinic_portal.demo import rota
from clinic_portal.demo.chance import chance
from clinic_portal.demo.clinic import add_clinic
from clinic_portal.demo.desk import add_desk_work
from clinic_portal.demo.diary import Diary
from clinic_portal.demo.lives import Moment
from clinic_portal.demo.people import add_people
from clinic_portal.demo.sign_ins import ADMIN_EMAIL, DESK_EMAIL, PASSWORD, SIGN_INS, AccountBook, all_roles
from clinic_portal.demo.visits import add_visits
from clinic_portal.errors import NotAllowed
from clinic_portal.models import Appointment, Patient, Practitioner, RoleName, Status
from clinic_portal.notifications.reminders import plan_for

__all__ = ["is_empty", "seed", "sign_ins"]


def seed(*, today: date | None = None) -> None:
    """Fill an empty database with the demo clinic.

    Args: today, the day that the clinic lies around; without it, the present day at the clinic.
    Times: with `today`, midday in London is the present moment.
    Commits: the whole clinic, or nothing.
    Raises: NotAllowed in production, and when the database already has people.
    """
    config: Config = current_app.config["PORTAL"]
    if config.is_production:
        raise NotAllowed("The demo clinic is made-up data: never for PORTAL_ENV=production.")
    now = clock.now() if today is None else clock.wall_to_instant(today, 12 * 60, rota.ZONE)
    # Hashing is slow on purpose, so it happens before the transaction; one hash serves all accounts of the demo.
    _seed(_moment(now), config.grid_min, hash_password(PASSWORD))


def is_empty() -> bool:
    """Whether the database has neither patients nor practitioners, so that the demo clinic may be made in it."""
    return not _has_people(db.session())


def sign_ins() -> list[tuple[str, str, str]]:
    """Whom a visitor can be: role in plain words, e-mail, password."""
    return [(role, email, PASSWORD) for role, email in SIGN_INS]


@writing
def _seed(db: Session, moment: Moment, grid_min: int, password_hash: str) -> None:
    if _has_people(db):
        raise NotAllowed("The database already has people in it; the demo clinic needs an empty one.")
    opened_at = moment.midnight - timedelta(days=365)
    accounts = AccountBook(db, chance("accounts"), password_hash, opened_at, all_roles(db))
    clinic = add_clinic(db, chance("clinic"), accounts, moment.today, grid_min)
    desk = accounts.open(DESK_EMAIL, RoleName.FRONT_DESK)
    accounts.open(ADMIN_EMAIL, RoleName.ADMIN)
    people = add_people(db, chance("people"), accounts, clinic, moment.today)
    diary = Diary(chance("visits"), clinic, moment, people, desk)
    add_visits(db, diary)
    db.flush()
    add_desk_work(db, chance("desk"), accounts, diary)
    _plan_reminders(db, moment)
    record(db, SYSTEM, "seeded", clinic.places[rota.HARBOUR])


def _plan_reminders(session: Session, moment: Moment) -> None:
    """Reminders of the visits ahead, as far as their time is still to come: the start sends nothing."""
    ahead = select(Appointment.patient_id).where(
        Appointment.status == Status.BOOKED, Appointment.starts_at > moment.now
    )
    with clock.clock_at(moment.now):
        for patient_id in session.scalars(ahead.distinct().order_by(Appointment.patient_id)):
            plan_for(session, patient_id)


def _has_people(session: Session) -> bool:
    return any(session.scalar(select(kind.id).limit(1)) is not None for kind in (Patient, Practitioner))


def _moment(now: datetime) -> Moment:
    today = clock.local_date(now, rota.ZONE)
    return Moment(today, clock.day_bounds(today, rota.ZONE)[0], now.astimezone(UTC))
