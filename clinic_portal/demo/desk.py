"""What a clinic has beside visits: needs, a teenager's own account, a referral, a double record, work for the desk."""

from __future__ import annotations

import random
from datetime import timedelta

from sqlalchemy.orm import Session

from clinic_portal.demo import rota
from clinic_portal.demo.chance import public_id
from clinic_portal.demo.clinic import Clinic
from clinic_portal.demo.diary import Diary
from clinic_portal.demo.lives import Moment
from clinic_portal.demo.sign_ins import TEENAGER_EMAIL, AccountBook
from clinic_portal.demo.told import add_messages
from clinic_portal.models import (
    Account,
    Appointment,
    Channel,
    ContactKind,
    ContactPoint,
    Delivery,
    Event,
    IdentityStatus,
    Need,
    NeedSource,
    Notification,
    Patient,
    PatientAccess,
    PatientNeed,
    Recipient,
    Referral,
    Relation,
    RoleName,
    Task,
    TaskKind,
)
from clinic_portal.notifications.ledger import dedupe_key

NEEDS = (
    ("George", Need.STEP_FREE, None),
    ("George", Need.HEARING, None),
    ("George", Need.LARGE_PRINT, None),
    ("Zofia", Need.INTERPRETER, "Polish"),
    ("Walter", Need.LONGER_VISIT, None),
)
DOUBLE_EMAIL = "walter.finch@example.com"


def add_desk_work(session: Session, rng: random.Random, accounts: AccountBook, diary: Diary) -> None:
    """Write it around the people with a story; their visits are there already."""
    people = {person.patient.given_name: person.patient for person in diary.people if person.is_known}
    ahead = {
        visit.patient_id: visit for visit in diary.visits if visit.starts_at and visit.starts_at > diary.moment.now
    }
    session.add_all(
        PatientNeed(patient_id=people[name].id, kind=kind, detail=detail, asked_at=accounts.made_at,
                    source=NeedSource.STAFF)
        for name, kind, detail in NEEDS
    )  # fmt: skip
    _let_teenager_in(session, rng, accounts, people["Anjali"], ahead)
    session.add(_referral(diary.clinic, diary.moment, people["Maya"], diary.desk))
    session.add(_interpreter(diary.moment, ahead[people["Zofia"].id]))
    session.add_all(_call(diary.moment, ahead[people["Walter"].id]))
    add_messages(session, diary, yet_to_call={ahead[people["Walter"].id].id})
    _register_again(session, rng, accounts, diary.moment, people["Walter"])


def _let_teenager_in(
    session: Session, rng: random.Random, accounts: AccountBook, anjali: Patient, ahead: dict[int, Appointment]
) -> None:
    """Anjali has an account of her own, and a visit that her mother does not see."""
    account = accounts.open(TEENAGER_EMAIL, RoleName.PATIENT)
    session.flush()
    session.add(PatientAccess(account_id=account.id, patient_id=anjali.id, relation=Relation.SELF,
                              starts_on=anjali.registered_on + timedelta(days=1)))  # fmt: skip
    session.add(ContactPoint(public_id=public_id(rng), patient_id=anjali.id, kind=ContactKind.EMAIL,
                             value=TEENAGER_EMAIL, whose=Relation.SELF, preferred_rank=9))  # fmt: skip
    ahead[anjali.id].is_private = True


def _referral(clinic: Clinic, moment: Moment, patient: Patient, desk: Account) -> Referral:
    return Referral(patient_id=patient.id, visit_type_id=clinic.visit_types[rota.PHYSIO].id,
                    from_whom="Dr Hill, Dockside Practice", received_on=moment.today - timedelta(days=3),
                    valid_until=moment.today + timedelta(days=120), visits_allowed=3, visits_used=0,
                    entered_by_account_id=desk.id)  # fmt: skip


def _interpreter(moment: Moment, visit: Appointment) -> Task:
    visit.wishes = {**visit.wishes, "needs": [Need.INTERPRETER.value]}
    tomorrow = moment.midnight + timedelta(days=1)
    return Task(kind=TaskKind.INTERPRETER, patient_id=visit.patient_id, appointment_id=visit.id,
                facts={"what": "book"}, created_at=moment.midnight, due_at=tomorrow)  # fmt: skip


def _call(moment: Moment, visit: Appointment) -> tuple[Notification, Task]:
    """No way to write to him is known: somebody has to tell him of his visit."""
    key = dedupe_key(visit.id, Event.BOOKED, visit.sequence, Recipient.PATIENT, visit.patient_id, Channel.CALL)
    told = Notification(dedupe_key=key, appointment_id=visit.id, event=Event.BOOKED, sequence=visit.sequence, facts={},
                        recipient=Recipient.PATIENT, patient_id=visit.patient_id, channel=Channel.CALL,
                        delivery=Delivery.TO_CALL, created_at=visit.requested_at, due_at=visit.requested_at,
                        next_try_at=visit.requested_at)  # fmt: skip
    task = Task(kind=TaskKind.CALL, patient_id=visit.patient_id, appointment_id=visit.id, facts={},
                created_at=visit.requested_at, due_at=moment.midnight + timedelta(hours=9))  # fmt: skip
    return told, task


def _register_again(
    session: Session, rng: random.Random, accounts: AccountBook, moment: Moment, known: Patient
) -> None:
    """Somebody of the name and birth date of a known patient has opened an account."""
    account = accounts.open(DOUBLE_EMAIL, RoleName.PATIENT)
    double = Patient(public_id=public_id(rng), given_name=known.given_name, family_name=known.family_name,
                     called_name=known.given_name, search_name=known.search_name, birth_on=known.birth_on,
                     identity_status=IdentityStatus.SELF_DECLARED, registered_on=moment.today)  # fmt: skip
    session.add(double)
    session.flush()
    session.add(PatientAccess(account_id=account.id, patient_id=double.id, relation=Relation.SELF,
                              starts_on=moment.today))  # fmt: skip
    session.add(ContactPoint(public_id=public_id(rng), patient_id=double.id, kind=ContactKind.EMAIL,
                             value=DOUBLE_EMAIL, whose=Relation.SELF))  # fmt: skip
    session.add(Task(kind=TaskKind.SAME_PERSON, patient_id=double.id, facts={}, created_at=moment.midnight,
                     due_at=moment.midnight + timedelta(days=1)))  # fmt: skip
