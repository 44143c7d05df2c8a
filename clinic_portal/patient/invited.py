"""What the clinic asks the people of an account to book: with a time of their own choice, or one that we find."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import url_for

from clinic_portal import clock
from clinic_portal.accounts import rights_of
from clinic_portal.database import db
from clinic_portal.models import Account, Relation, VisitInvitation
from clinic_portal.patient.cards import names_of
from clinic_portal.scheduling.invitations import open_invitations
from clinic_portal.scheduling.privacy import is_private_by_default
from clinic_portal.scheduling.promises import clinic_zone
from clinic_portal.visit_texts import text_of
from clinic_portal.wording import date_short


@dataclass(frozen=True)
class InvitedCard:
    """One invitation on a page."""

    visit_name: str
    for_whom: str | None
    message: str | None
    first: str
    last: str
    book_url: str
    ask_url: str


def invited_cards(account: Account) -> list[InvitedCard]:
    """All open invitations of the people for whom the account acts, the nearest end first."""
    names, own = (
        names_of(account),
        {right.patient_id for right in rights_of(account) if right.relation == Relation.SELF},
    )
    found = open_invitations(db.session(), list(names))
    return [_card(one, names[one.patient_id]) for one in found if one.patient_id in own or not _is_private(one)]


def _is_private(invitation: VisitInvitation) -> bool:
    """Whether its visit would be kept from people who act for the patient."""
    today = clock.local_date(clock.now(), clinic_zone(db.session()))
    sensitive = invitation.visit_type.is_sensitive
    return is_private_by_default(db.session(), invitation.patient_id, today, is_sensitive=sensitive)


def _card(one: VisitInvitation, for_whom: str | None) -> InvitedCard:
    about: dict[str, Any] = {
        "patient": one.patient.public_id,
        "visit_type": one.visit_type.public_id,
        "invitation": one.public_id,
    }
    return InvitedCard(
        visit_name=text_of(db.session(), one.visit_type_id).name,
        for_whom=for_whom,
        message=one.message,
        first=date_short(one.due_from),
        last=date_short(one.due_until),
        book_url=url_for("patient.times", **about),
        ask_url=url_for("patient.ask_us", ask="yes", **about),
    )
