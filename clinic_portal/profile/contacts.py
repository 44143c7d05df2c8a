"""How a patient is reached: added, changed, put first and ended by the patient, or by who acts for them.

Nothing is deleted, and every change is one the clinic can read in the audit log. Everything here can be done twice with
the same outcome, so its forms need no tokens.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import audit, clock
from clinic_portal.audit import Actor, ActorKind
from clinic_portal.database import writing
from clinic_portal.errors import InvalidRequest, NotAllowed, NotFound
from clinic_portal.languages import N_
from clinic_portal.models import ContactKind, ContactPoint, Patient, Relation, columns_of
from clinic_portal.notifications.outbox import ask_to_verify, times_asked
from clinic_portal.notifications.reminders import plan_for
from clinic_portal.profile.values import is_same, read_called_name, read_contact
from clinic_portal.scheduling.people import lock_patient

MOST = 10
# Somebody else's mailbox must not be filled by typing its address here again and again.
MOST_ASKED_A_DAY = 5
ASK_AGAIN_AFTER = timedelta(minutes=1)

TOLD = ("kind", "value", "whose", "preferred_rank", "unverified_since", "failed_at", "ended_at")


@writing
def add_contact(
    session: Session, *, actor: Actor, patient_id: int, kind: ContactKind, value: str, whose: Relation
) -> ContactPoint:
    """Add a way to reach a patient; a new e-mail address must first show that mails arrive there.

    Commits: the contact point, and for an address the mail that asks.
    Rings: deliver_notifications, for an address.
    Raises: InvalidRequest, NotAllowed, NotFound.
    """
    lock_patient(session, patient_id)
    value, known = read_contact(kind, value), _live(session, patient_id)
    _check_whose(actor, kind, whose)
    for contact in known:
        if contact.kind == kind and is_same(kind, contact.value, value):
            return contact
    rank = max((contact.preferred_rank for contact in known), default=0) + 1
    return _add(session, actor, len(known), patient_id=patient_id, kind=kind, value=value, whose=whose,
                preferred_rank=rank)  # fmt: skip


@writing
def change_contact(session: Session, *, actor: Actor, contact_id: int, value: str, whose: Relation) -> ContactPoint:
    """Put another value in the place of a contact point. An e-mail address is used until the new one is verified.

    Commits: the new contact point and the end of the old one, or only whose it is.
    Rings: deliver_notifications, for an address.
    Raises: InvalidRequest, NotAllowed, NotFound.
    """
    old = _locked(session, contact_id)
    value = read_contact(old.kind, value)
    _check_whose(actor, old.kind, whose)
    others = [contact for contact in _live(session, old.patient_id) if contact is not old]
    for contact in others:
        if contact.kind == old.kind and is_same(old.kind, contact.value, value):
            return contact
    if old.ended_at is not None:
        raise NotFound
    if value == old.value:
        _change(session, actor, old, "change_contact", whose=whose)
        return old
    return _replace(session, actor, old, others, value, whose)


@writing
def prefer_contact(session: Session, *, actor: Actor, contact_id: int) -> None:
    """Put one way to reach a patient before all others.

    Commits: the order.
    Raises: NotFound, NotAllowed.
    """
    first = _locked(session, contact_id)
    if first.ended_at is not None:
        raise NotFound
    others = [contact for contact in _live(session, first.patient_id) if contact is not first]
    for rank, contact in enumerate([first, *others], start=1):
        if contact is first:
            _change(session, actor, contact, "prefer_contact", preferred_rank=rank)
        contact.preferred_rank = rank


@writing
def end_contact(session: Session, *, actor: Actor, contact_id: int) -> None:
    """Stop using a way to reach a patient. What waited for it goes to the next address, or is told by phone.

    Commits: its end, and of the reminders that nobody would read any more.
    Raises: NotFound, NotAllowed.
    """
    contact = _locked(session, contact_id)
    _end(session, actor, contact)
    session.flush()
    plan_for(session, contact.patient_id)


@writing
def ask_again(session: Session, *, actor: Actor, contact_id: int) -> None:
    """Send the mail that asks once more, or for the first time to an address whose mails came back.

    Commits: the mail; an address that failed stays unused until it is verified.
    Rings: deliver_notifications.
    Raises: NotFound, NotAllowed, InvalidRequest after too many mails.
    """
    contact = _locked(session, contact_id)
    if contact.kind != ContactKind.EMAIL or contact.ended_at is not None or contact.is_usable:
        raise NotFound
    now = clock.now()
    if times_asked(session, now - ASK_AGAIN_AFTER, contact_id=contact.id):
        return
    _check_patience(session, contact.patient_id)
    since = contact.unverified_since or now
    _change(session, actor, contact, "ask_contact", unverified_since=since, failed_at=None, failed_reason=None)
    ask_to_verify(session, contact)


@writing
def verify_contact(session: Session, *, public_id: str) -> ContactPoint:
    """Note that mails to an address arrive: its reader pressed the button behind the link.

    Commits: the address comes into use, and the one it replaces ends; reminders for who had none.
    Raises: NotFound when it is no longer wanted, or its patient's record was closed.
    """
    contact_id = session.scalar(select(ContactPoint.id).where(ContactPoint.public_id == public_id))
    contact = _locked(session, contact_id or 0)
    if contact.ended_at is not None:
        raise NotFound
    # Nobody has to sign in for it: who reads the mailbox is known, which account they use is not.
    actor = Actor(ActorKind.PATIENT if contact.whose == Relation.SELF else ActorKind.PROXY)
    if contact.unverified_since is not None:
        _change(session, actor, contact, "verify_contact", unverified_since=None, failed_at=None, failed_reason=None)
        if contact.replaces_id is not None:
            _end(session, actor, session.get_one(ContactPoint, contact.replaces_id))
        session.flush()
        plan_for(session, contact.patient_id)
    return contact


@writing
def change_called_name(session: Session, *, actor: Actor, patient_id: int, name: str) -> None:
    """Change what somebody is called in the waiting room and in mails; not their name in the record.

    Commits: the name.
    Raises: InvalidRequest, NotAllowed, NotFound.
    """
    lock_patient(session, patient_id)
    patient, name = session.get_one(Patient, patient_id), read_called_name(name)
    before = columns_of(patient, ("called_name",))
    if name != patient.called_name:
        patient.called_name = name
        after = columns_of(patient, ("called_name",))
        audit.record(session, actor, "change_name", patient, before=before, after=after, patient_id=patient_id)


def _locked(session: Session, contact_id: int) -> ContactPoint:
    """The contact point as it is now, with its patient locked until the transaction ends."""
    patient_id = session.scalar(select(ContactPoint.patient_id).where(ContactPoint.id == contact_id))
    if patient_id is None:
        raise NotFound
    lock_patient(session, patient_id)
    return session.get_one(ContactPoint, contact_id, populate_existing=True)


def _live(session: Session, patient_id: int) -> list[ContactPoint]:
    query = select(ContactPoint).where(ContactPoint.patient_id == patient_id, ContactPoint.ended_at.is_(None))
    return list(session.scalars(query.order_by(ContactPoint.preferred_rank, ContactPoint.id)))


def _check_whose(actor: Actor, kind: ContactKind, whose: Relation) -> None:
    """Who acts for somebody cannot say that a mailbox is that person's own: private visits are told there."""
    if actor.kind == ActorKind.PROXY and kind == ContactKind.EMAIL and whose == Relation.SELF:
        raise NotAllowed


def _check_patience(session: Session, patient_id: int) -> None:
    if times_asked(session, clock.now() - timedelta(days=1), patient_id=patient_id) >= MOST_ASKED_A_DAY:
        raise InvalidRequest(N_("You changed e-mail addresses many times today. Try again tomorrow, or call us."))


def _add(session: Session, actor: Actor, known: int, **columns: Any) -> ContactPoint:
    if known >= MOST:
        raise InvalidRequest(N_("We keep %(most)s ways to reach one person at most. Remove one first."), most=MOST)
    is_email = columns["kind"] == ContactKind.EMAIL
    if is_email:
        _check_patience(session, columns["patient_id"])
    contact = ContactPoint(**columns, unverified_since=clock.now() if is_email else None)
    session.add(contact)
    session.flush()
    after = columns_of(contact, TOLD)
    audit.record(session, actor, "add_contact", contact, after=after, patient_id=contact.patient_id)
    if is_email:
        ask_to_verify(session, contact)
    return contact


def _replace(
    session: Session, actor: Actor, old: ContactPoint, others: list[ContactPoint], value: str, whose: Relation
) -> ContactPoint:
    # Until a new address has answered, what is told goes to the old one, if that works.
    is_email = old.kind == ContactKind.EMAIL
    replaces_id = (old.id if old.is_usable else old.replaces_id) if is_email else None
    new = _add(session, actor, len(others), patient_id=old.patient_id, kind=old.kind, value=value, whose=whose,
               preferred_rank=old.preferred_rank, replaces_id=replaces_id)  # fmt: skip
    for contact in others:
        # Somebody thought again before they confirmed.
        if contact.replaces_id is not None and contact.replaces_id == replaces_id:
            _end(session, actor, contact)
    if replaces_id != old.id:
        _end(session, actor, old)
    return new


def _end(session: Session, actor: Actor, contact: ContactPoint) -> None:
    if contact.ended_at is None:
        _change(session, actor, contact, "end_contact", ended_at=clock.now())


def _change(session: Session, actor: Actor, contact: ContactPoint, action: str, **columns: Any) -> None:
    """Change what differs and say so in the audit log; nothing when nothing differs."""
    if all(getattr(contact, name) == value for name, value in columns.items()):
        return
    before = columns_of(contact, TOLD)
    for name, value in columns.items():
        setattr(contact, name, value)
    after = columns_of(contact, TOLD)
    audit.record(session, actor, action, contact, before=before, after=after, patient_id=contact.patient_id)
