"""What the link in a mail lets its reader do with one visit, without signing in: say that they will come, or cancel.

A link is for the visit at the time that the mail told. It dies when the visit begins, is moved or cancelled, and when
the mailbox is no longer the patient's.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor, ActorKind, record
from clinic_portal.database import writing
from clinic_portal.errors import LinkExpired, NotFound
from clinic_portal.links import VisitLink
from clinic_portal.models import (
    Appointment,
    CancelReason,
    Confirmation,
    ConfirmedVia,
    ContactPoint,
    Event,
    Notification,
    Recipient,
    Relation,
    Status,
    columns_of,
)
from clinic_portal.scheduling.booking import carry_out_cancel
from clinic_portal.scheduling.visits import TOLD, lock_visit

CONFIRMED = (*TOLD, "confirmation")
# How the audit log says that nobody was signed in.
VIA = {"via": "link"}


class LinkState(enum.StrEnum):
    """What has become of the visit since the mail left; only while `open` can anything be done."""

    OPEN = "open"
    MOVED = "moved"
    CANCELLED = "cancelled"
    OVER = "over"
    # The mailbox it was sent to is not the patient's any more.
    GONE = "gone"


@dataclass(frozen=True)
class Linked:
    """The visit behind a link."""

    visit: Appointment
    contact: ContactPoint
    state: LinkState


def find_linked(session: Session, link: VisitLink) -> Linked:
    """The visit behind a link, and what can still be done.

    Raises: NotFound.
    """
    visit = session.scalar(select(Appointment).filter_by(public_id=link.visit_public_id))
    contact = session.scalar(select(ContactPoint).filter_by(public_id=link.contact_public_id))
    if visit is None or contact is None:
        raise NotFound
    return Linked(visit, contact, _state(session, link, visit, contact))


def _state(session: Session, link: VisitLink, visit: Appointment, contact: ContactPoint) -> LinkState:
    is_others = visit.is_private and contact.whose != Relation.SELF
    if contact.ended_at is not None or is_others:
        return LinkState.GONE
    if visit.status in (Status.CANCELLED, Status.ENTERED_IN_ERROR):
        return LinkState.CANCELLED
    if visit.status != Status.BOOKED or visit.starts_at is None or visit.starts_at <= clock.now():
        return LinkState.OVER
    return LinkState.MOVED if _was_moved(session, visit, link.sequence) else LinkState.OPEN


def _was_moved(session: Session, visit: Appointment, sequence: int) -> bool:
    """Whether a visit begins at another time than a mail told; one that only takes longer does not."""
    if sequence == visit.sequence:
        return False
    since = select(Notification.id).where(
        Notification.appointment_id == visit.id,
        Notification.recipient == Recipient.PATIENT,
        Notification.event == Event.MOVED,
        Notification.sequence > sequence,
    )
    return session.scalar(since.limit(1)) is not None


@writing
def confirm_by_link(session: Session, *, link: VisitLink) -> None:
    """Note that the patient will come. Saying it again changes nothing.

    Commits: the visit (version up), audit.
    Raises: NotFound, LinkExpired.
    Source: clinic.md 2.17, A11.
    """
    linked = _lock(session, link)
    visit = linked.visit
    if linked.state is not LinkState.OPEN:
        raise LinkExpired
    if visit.confirmation is Confirmation.CONFIRMED:
        return
    before = columns_of(visit, CONFIRMED)
    visit.confirmation, visit.confirmed_at = Confirmation.CONFIRMED, clock.now()
    visit.confirmed_via = ConfirmedVia.LINK
    visit.version += 1
    session.flush()
    after = columns_of(visit, CONFIRMED) | VIA
    record(session, _actor(linked), "confirm", visit, before=before, after=after, patient_id=visit.patient_id)


@writing
def cancel_by_link(session: Session, *, link: VisitLink, reason: CancelReason | None = None) -> None:
    """Cancel the visit, until it begins. Asking again changes nothing.

    Commits: as `cancel_appointment`, without a submission: a link cancels once only.
    Raises: NotFound, LinkExpired.
    Source: UC3.6, UC6.2.
    """
    linked = _lock(session, link)
    if linked.state is LinkState.CANCELLED:
        return
    if linked.state is not LinkState.OPEN:
        raise LinkExpired
    carry_out_cancel(session, _actor(linked), linked.visit, reason, noted=VIA)


def _lock(session: Session, link: VisitLink) -> Linked:
    """The visit with its patient and itself locked, judged as it is now."""
    lock_visit(session, find_linked(session, link).visit.id)
    return find_linked(session, link)


def _actor(linked: Linked) -> Actor:
    """Who reads a mailbox is known; which account they would sign in with is not."""
    return Actor(ActorKind.PATIENT if linked.contact.whose == Relation.SELF else ActorKind.PROXY)
