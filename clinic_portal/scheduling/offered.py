"""An offer as its reader finds it, signed in or by the link in a message; and taking or leaving it by that link.

Whether it stands is judged when it is read. A link names one offer and one mailbox, and dies with either.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from clinic_portal import clock
from clinic_portal.audit import Actor, ActorKind
from clinic_portal.errors import LinkExpired, NotFound
from clinic_portal.links import OfferLink
from clinic_portal.models import AnsweredVia, Appointment, ContactPoint, Hold, Offer, OfferState, Relation
from clinic_portal.scheduling.offers import accept_offer, decline_offer


class Standing(enum.StrEnum):
    """What has become of an offer; only while it is open it can be answered."""

    OPEN = "open"
    TAKEN = "taken"
    LEFT = "left"
    # Nobody answered in time, or the clinic needed the time.
    GONE = "gone"
    # The mailbox that the link was sent to is not the patient's any more.
    NOT_YOURS = "not_yours"


@dataclass(frozen=True)
class Offered:
    """An offer, what it is for, and what can be done with it."""

    offer: Offer
    visit: Appointment
    standing: Standing


def find_offered(session: Session, public_id: str) -> Offered:
    """One offer. Whether its reader may see it is for the caller to say.

    Raises: NotFound.
    """
    found = (
        select(Offer)
        .where(Offer.public_id == public_id)
        .options(joinedload(Offer.hold).joinedload(Hold.location), joinedload(Offer.appointment))
    )
    offer = session.scalar(found)
    if offer is None:
        raise NotFound
    return Offered(offer, offer.appointment, _standing(offer))


def _standing(offer: Offer) -> Standing:
    if offer.is_live(clock.now()):
        return Standing.OPEN
    return {OfferState.ACCEPTED: Standing.TAKEN, OfferState.DECLINED: Standing.LEFT}.get(offer.state, Standing.GONE)


def find_offered_by_link(session: Session, link: OfferLink) -> tuple[Offered, Actor]:
    """The offer behind a link, and as whom its reader answers.

    Raises: NotFound.
    """
    offered = find_offered(session, link.offer_public_id)
    contact = session.scalar(select(ContactPoint).filter_by(public_id=link.contact_public_id))
    if contact is None or contact.patient_id != offered.visit.patient_id:
        raise NotFound
    is_own = contact.whose == Relation.SELF
    if contact.ended_at is not None or (offered.visit.is_private and not is_own):
        offered = Offered(offered.offer, offered.visit, Standing.NOT_YOURS)
    # Who reads a mailbox is known; which account they would sign in with is not.
    return offered, Actor(ActorKind.PATIENT if is_own else ActorKind.PROXY)


def answer_by_link(session: Session, link: OfferLink, *, takes: bool) -> Appointment:
    """Take or leave an offered time by the link in a message; its service commits.

    Raises: LinkExpired when it cannot be answered any more, OfferGone, PatientBusy, NotFound.
    """
    offered, actor = find_offered_by_link(session, link)
    if offered.standing is Standing.NOT_YOURS:
        raise LinkExpired
    answer = accept_offer if takes else decline_offer
    return answer(actor=actor, offer_id=offered.offer.id, via=AnsweredVia.LINK)
