"""Changes of hours that wait for somebody's agreement: what they would change; agree, refuse, take back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import Response, flash, url_for
from sqlalchemy import select

from clinic_portal.accounts import STAFF, roles_required
from clinic_portal.database import db
from clinic_portal.errors import BadTransition, NotFound
from clinic_portal.languages import _
from clinic_portal.models import AvailabilityException, AvailabilityRule, HoursRequest, Location, Practitioner
from clinic_portal.rota.blueprint import blueprint
from clinic_portal.rota.carrying_out import carry_out
from clinic_portal.rota.reach import MAY_SET, actor, practitioner_of
from clinic_portal.rota.telling import away_in_words, block_in_words
from clinic_portal.scheduling.hours_changes import EndAway, HoursChange, WeekChange, from_plain
from clinic_portal.scheduling.hours_requests import agree, open_wishes, refuse, take_back
from clinic_portal.web import page, see_other
from clinic_portal.wording import date_short, day_and_time, say

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Wish:
    """A change that waits, in words."""

    public_id: str
    asked: str
    lines: list[str]


def waiting(practitioner: Practitioner, zone: str) -> list[Wish]:
    """What waits for agreement in somebody's hours."""
    return [
        Wish(row.public_id, day_and_time(row.asked_at, zone), list(_in_words(from_plain(row.change))))
        for row in open_wishes(db.session(), [practitioner.id])
    ]


@blueprint.get("/<public_id>/wishes/<wish_id>")
@roles_required(*STAFF)
def wish(public_id: str, wish_id: str) -> Response:
    """Do you agree to this change?"""
    return _form(practitioner_of(public_id), wish_id)


@blueprint.post("/<public_id>/wishes/<wish_id>/agree")
@roles_required(*STAFF)
def save_agree(public_id: str, wish_id: str) -> Response:
    """Agree, and carry it out."""
    practitioner = practitioner_of(public_id)
    row = _wish_of(practitioner, wish_id)
    return carry_out(
        lambda answers: agree(actor=actor(), request_id=row.id, answers=answers),
        lambda errors, status: _form(practitioner_of(public_id), wish_id, errors, status),
        _("The hours are changed."), _url(practitioner), url_for("rota.wish", public_id=public_id, wish_id=wish_id),
    )  # fmt: skip


@blueprint.post("/<public_id>/wishes/<wish_id>/refuse")
@roles_required(*STAFF)
def save_refuse(public_id: str, wish_id: str) -> Response:
    """Do not agree; nothing changes."""
    practitioner = practitioner_of(public_id)
    return _decide(practitioner, wish_id, refuse, _("The hours stay as they were. Whose they are gets a message."))


@blueprint.post("/<public_id>/wishes/<wish_id>/take-back")
@roles_required(*MAY_SET)
def save_take_back(public_id: str, wish_id: str) -> Response:
    """Take an own wish back."""
    return _decide(practitioner_of(public_id), wish_id, take_back, _("It is taken back."))


def _decide(practitioner: Practitioner, wish_id: str, act: Callable[..., Any], done: str) -> Response:
    try:
        act(actor=actor(), request_id=_wish_of(practitioner, wish_id).id)
    except BadTransition as error:
        flash(say(error), "error")
    else:
        flash(done, "success")
    return see_other(_url(practitioner))


def _url(practitioner: Practitioner) -> str:
    return url_for("rota.week", public_id=practitioner.public_id)


def _wish_of(practitioner: Practitioner, wish_id: str) -> HoursRequest:
    row = db.session().scalars(select(HoursRequest).filter_by(public_id=wish_id)).one_or_none()
    if row is None or row.practitioner_id != practitioner.id:
        raise NotFound
    return row


def _form(
    practitioner: Practitioner, wish_id: str, errors: list[dict[str, str]] | None = None, status: int = 200
) -> Response:
    row = _wish_of(practitioner, wish_id)
    return page(
        "rota/wish.html",
        status=status,
        practitioner=practitioner,
        lines=list(_in_words(from_plain(row.change))),
        wish_id=wish_id,
        errors=errors or [],
        back_url=_url(practitioner),
    )


def _in_words(change: HoursChange) -> Iterator[str]:
    session = db.session()
    match change:
        case WeekChange():
            for rule_id, last_on in change.ends.items():
                if (rule := session.get(AvailabilityRule, rule_id)) is not None:
                    ending = date_short(last_on + DAY)
                    yield _("Ends: %(hours)s; not any more from %(day)s on", hours=block_in_words(rule), day=ending)
            for block in change.adds:
                place = session.get(Location, block.location_id)
                rule = AvailabilityRule(**block.columns(), location=place)
                yield _("New: %(hours)s, from %(day)s on", hours=block_in_words(rule), day=date_short(block.valid_from))
        case EndAway():
            if (row := session.get(AvailabilityException, change.exception_id)) is not None:
                yield _("Taken back: %(what)s", what=away_in_words(row))
        case _:
            place = session.get(Location, change.location_id) if change.location_id else None
            yield away_in_words(AvailabilityException(**change.columns(), location=place))
