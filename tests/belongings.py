"""What belongs to Alice, for addresses that name it; and the people who have no business with it."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import links
from clinic_portal.accounts import sign_ins, tokens
from clinic_portal.database import db, writing
from clinic_portal.models import (
    Absence,
    AbsenceReason,
    Account,
    Appointment,
    AvailabilityException,
    AvailabilityRule,
    CalendarFeed,
    Closure,
    ContactKind,
    ContactPoint,
    ExceptionKind,
    ExceptionStatus,
    FeedKind,
    Hold,
    HoldKind,
    HoursRequest,
    HoursRequestStatus,
    Location,
    Mode,
    Offer,
    Passkey,
    Patient,
    PatientAccess,
    Practitioner,
    Relation,
    Role,
    RoleGrant,
    RoleName,
    SignIn,
    Task,
    TaskKind,
    VisitInvitation,
    VisitType,
)
from clinic_portal.notifications import delivery
from clinic_portal.notifications.captured import list_captured, read_captured
from clinic_portal.profile.notice import VERSION
from clinic_portal.scheduling.blocks import Block
from clinic_portal.scheduling.holds import hold_slot
from clinic_portal.scheduling.hours_changes import WeekChange, to_plain
from clinic_portal.scheduling.invitations import invite
from clinic_portal.scheduling.search import Search
from clinic_portal.tasks import open_task
from tests.asking import ask, drain
from tests.bookings import book, cancel, open_clinic
from tests.world import NOW, ZONE, World, add_patient, add_session, at

# Everybody who must not reach what is Alice's, and as which column of a `Door` they count.
WRONG_PERSONS = {
    "nobody": "nobody",
    "deactivated": "nobody",
    "unconfirmed": "nobody",
    "mallory": "account",
    "ended": "account",
    "bob": "patient",
    "chen": "doctor",
    "diaz": "other_doctor",
    "erin": "desk",
    "mill": "desk_elsewhere",
    "admin": "admin",
}
# Bearers: who has one is let in, so a wrong person is one who has another.
TOKENS = ("confirm_token", "reset_token", "email_token", "contact_token", "link_token", "stop_token", "offer_token",
          "calendar_token")  # fmt: skip
PHONE = "020 7946 0123"
CALENDAR_TOKEN = "what-only-alice-knows"


def furnish(world: World) -> None:
    """Fill the small clinic: visits, a kept time, a child, contacts, and everybody who is tried."""
    for day in (1, 2, 3):
        open_clinic(world, day)
        add_session(world.diaz_id, at(13, day=day), at(16, 30, day=day), world.second_location_id)
    visit = book(world, at(9, day=1))
    private = book(world, at(11, day=1), visit_type_id=world.vaccine_id)
    cancel(world, book(world, at(10, 30, day=1)))
    _add_people(world)
    _finish(world, visit.id, private.id)
    sign_ins.begin(account_id=world.accounts["alice"], browser="Firefox, Windows")
    ask(world, is_ask_first=True, from_on=NOW.date() + timedelta(days=3))
    drain()
    invite(actor=world.erin, patient_id=world.alice_id, visit_type_id=world.vaccine_id, token="invite",
           due_from=NOW.date() + timedelta(days=1), due_until=NOW.date() + timedelta(days=3))  # fmt: skip
    search = Search(world.check_up_id, world.alice_id, account_id=world.accounts["alice"])
    for mode in (Mode.PHONE, Mode.IN_PERSON):
        hold_slot(actor=world.alice, search=replace(search, mode=mode), starts_at=at(10, day=1), call_number=PHONE)
    delivery.deliver_due()


@writing
def _add_people(db: Session, world: World) -> None:
    alice = db.get_one(Patient, world.alice_id)
    child = add_patient(db, "Cleo", "Archer", email=False)
    child.birth_on = date(2015, 6, 1)
    _act_for(db, world.accounts["alice"], child)
    db.add(ContactPoint(patient_id=alice.id, kind=ContactKind.LANDLINE, whose=Relation.SELF, value=PHONE))
    db.add(ContactPoint(patient_id=alice.id, kind=ContactKind.EMAIL, whose=Relation.SELF, value="archer@example.org",
                        unverified_since=NOW))  # fmt: skip
    _act_for(db, _account(db, "ended", RoleName.PATIENT).id, alice, ends_on=NOW.date() - timedelta(days=1))
    _act_for(db, _account(db, "proxy", RoleName.PATIENT).id, alice)
    _account(db, "deactivated", RoleName.PATIENT).active = False
    _account(db, "unconfirmed", RoleName.PATIENT).confirmed_at = None
    _account(db, "admin", RoleName.ADMIN)
    _account(db, "mill", RoleName.FRONT_DESK, world.second_location_id)
    db.get_one(Account, world.accounts["alice"]).pending_email = "alice.archer@example.org"
    # They once were patients with full rights: what is refused is refused for the account's sake.
    for name in ("deactivated", "unconfirmed"):
        account = db.scalars(select(Account).filter_by(fs_uniquifier=f"fs-{name}")).one()
        _act_for(db, account.id, alice)


def _account(db: Session, name: str, role: RoleName, location_id: int | None = None) -> Account:
    account = Account(email=f"{name}@example.com", password=None, fs_uniquifier=f"fs-{name}", created_at=NOW,
                      confirmed_at=NOW, privacy_notice_version=VERSION)  # fmt: skip
    role_row = db.scalars(select(Role).filter_by(name=role)).one()
    account.grants.append(RoleGrant(role=role_row, location_id=location_id))
    db.add(account)
    db.flush()
    return account


def _act_for(db: Session, account_id: int, patient: Patient, ends_on: date | None = None) -> None:
    db.add(PatientAccess(account_id=account_id, patient_id=patient.id, relation=Relation.PARENT,
                         starts_on=date(2020, 1, 1), ends_on=ends_on))  # fmt: skip


@writing
def _finish(db: Session, world: World, visit_id: int, private_id: int) -> None:
    open_task(db, TaskKind.CALL, patient_id=world.alice_id, appointment_id=visit_id, due_at=NOW)
    db.get_one(Appointment, private_id).is_private = True
    db.get_one(VisitType, world.vaccine_id).may_be_acute = True
    check_up = db.get_one(VisitType, world.check_up_id)
    check_up.modes = frozenset({Mode.IN_PERSON, Mode.PHONE})
    alices = world.accounts["alice"]
    # Her doctor works at one place, is away for a day, and that place closes for another.
    chens = {"practitioner_id": world.chen_id, "location_id": world.location_id}
    db.add(AvailabilityRule(weekday=4, starts_min=540, ends_min=720, valid_from=NOW.date(), **chens))
    off = NOW.date() + timedelta(days=20)
    away = AvailabilityException(practitioner_id=world.chen_id, kind=ExceptionKind.OFF, status=ExceptionStatus.APPROVED,
                                 zone=ZONE, starts_on=off, starts_min=0, ends_on=off, ends_min=1440)  # fmt: skip
    db.add(away)
    db.flush()
    db.add(Absence(practitioner_id=world.chen_id, exception_id=away.id, reason=AbsenceReason.LEAVE, created_at=NOW,
                   created_by_account_id=world.accounts["erin"], leaves_at=NOW + timedelta(minutes=2)))  # fmt: skip
    db.add(Closure(location_id=world.second_location_id, first_on=off, last_on=off, name="Painting"))
    wanted = WeekChange(adds=[Block(world.location_id, 2, 540, 720, NOW.date())])
    db.add(HoursRequest(practitioner_id=world.chen_id, asked_by_account_id=world.accounts["chen"], asked_at=NOW,
                        change=to_plain(wanted), status=HoursRequestStatus.ASKED))  # fmt: skip
    hashed = hashlib.sha256(CALENDAR_TOKEN.encode()).hexdigest()
    db.add(CalendarFeed(account_id=alices, kind=FeedKind.PATIENT, token_hash=hashed, made_at=NOW))
    db.add(Passkey(account_id=alices, credential_id="AAAA", public_key=b"k", sign_count=0, name="A key", added_at=NOW))


@dataclass(frozen=True)
class Belongings:
    """A portal in which all that is Alice's is there, and can be put back as it was."""

    app: Flask
    world: World
    folder: Path
    ids: dict[str, str]

    def start_again(self) -> None:
        """Undo whatever a form has done."""
        put_back(self.app, self.folder)

    def secrets(self) -> list[str]:
        """Words that no page shows to anybody but Alice, her clinic and whoever acts for her."""
        visits = db.session().scalars(select(Appointment)).all()
        names = ["Alice", "Archer", "Cleo", "alice@example.com", "archer@example", PHONE]
        return names + [word for visit in visits for word in (visit.public_id, visit.reference)]


def put_back(app: Flask, folder: Path) -> None:
    """Give a portal a copy of the database in a folder; its mails stay as they are."""
    db.session.remove()
    db.engine.dispose()
    replace_database(folder / "clinic.db", app.config["PORTAL"].data_dir)


def replace_database(source: Path, folder: Path) -> None:
    """Put a copy of a SQLite file where a portal expects it; nobody may have it open."""
    for ending in ("-wal", "-shm"):
        (folder / f"clinic.db{ending}").unlink(missing_ok=True)
    shutil.copyfile(source, folder / "clinic.db")


def ids_of(app: Flask, world: World) -> dict[str, str]:
    """What stands for the words in braces of `ADDRESSES`."""
    session = db.session()
    alice = session.get_one(Patient, world.alice_id)
    visit, private, cancelled, asked = session.scalars(select(Appointment).order_by(Appointment.id))
    offer = session.scalars(select(Offer)).one()
    kept = select(Hold).filter_by(kind=HoldKind.PATIENT_CHECKOUT)
    contacts = {contact.value: contact for contact in alice.contact_points}
    unverified = contacts["archer@example.org"]
    people = {account.fs_uniquifier: account for account in session.scalars(select(Account))}
    portal = app.config["PORTAL"]
    return {
        "asset": json.loads((Path(app.static_folder or "") / "manifest.json").read_text())["portal.css"],
        "person": alice.public_id,
        "practitioner": session.get_one(Practitioner, world.chen_id).public_id,
        "block": str(session.scalars(select(AvailabilityRule.id)).one()),
        "away": str(session.scalars(select(AvailabilityException.id)).one()),
        "wish": session.scalars(select(HoursRequest)).one().public_id,
        "absence": session.scalars(select(Absence)).one().public_id,
        "closure": str(session.scalars(select(Closure.id)).one()),
        "child": session.scalars(select(Patient).filter_by(given_name="Cleo")).one().public_id,
        "visit_type": session.get_one(VisitType, world.check_up_id).public_id,
        "location": session.get_one(Location, world.location_id).public_id,
        "acute": session.get_one(VisitType, world.vaccine_id).public_id,
        "visit": visit.public_id,
        "private": private.public_id,
        "cancelled": cancelled.public_id,
        "request": asked.public_id,
        "offer": offer.public_id,
        "invitation": session.scalars(select(VisitInvitation)).one().public_id,
        "hold": session.scalars(kept.filter_by(mode=Mode.IN_PERSON)).one().public_id,
        "call": session.scalars(kept.filter_by(mode=Mode.PHONE)).one().public_id,
        "contact": contacts[PHONE].public_id,
        "unverified": unverified.public_id,
        "mail": _mail_with_calendar(portal.mail_dir),
        "calendar_token": CALENDAR_TOKEN,
        "confirm_token": tokens.make(tokens.Purpose.CONFIRM, people["fs-unconfirmed"]),
        "reset_token": tokens.make(tokens.Purpose.RESET, people["fs-alice"]),
        "email_token": tokens.make(tokens.Purpose.CHANGE_EMAIL, people["fs-alice"]),
        "account": str(world.accounts["bob"]),
        "task": str(session.scalars(select(Task.id).filter_by(appointment_id=visit.id)).one()),
        "passkey": session.scalars(select(Passkey)).one().public_id,
        "sign_in": session.scalars(select(SignIn)).one().public_id,
        "link_token": links.sign_visit(
            portal.secret_key, links.VisitLink(visit.public_id, visit.sequence, contacts["alice@example.com"].public_id)
        ),
        "stop_token": links.sign_stop(
            portal.secret_key, links.StopLink(alice.public_id, contacts["alice@example.com"].public_id)
        ),
        "offer_token": links.sign_offer(
            portal.secret_key, links.OfferLink(offer.public_id, contacts["alice@example.com"].public_id)
        ),
        "contact_token": links.sign_check(portal.secret_key, unverified.public_id, NOW),
    }


def _mail_with_calendar(folder: Path) -> str:
    return next(mail.id for mail in list_captured(folder) if read_captured(folder, mail.id).has_calendar)
