"""Where doctors' changes of hours need somebody's agreement: ask, agree, refuse, or take the wish back."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor, ActorKind, record
from clinic_portal.database import writing
from clinic_portal.errors import BadTransition, NotAllowed, NotFound
from clinic_portal.languages import N_
from clinic_portal.models import AvailabilityRule, Event, HoursRequest, HoursRequestStatus, Practitioner
from clinic_portal.notifications.account_outbox import tell_account
from clinic_portal.scheduling import hours, submissions
from clinic_portal.scheduling.hours_changes import HoursChange, from_plain, to_plain
from clinic_portal.settings import load_settings

NEEDED = "needed"


def must_ask(session: Session, actor: Actor) -> bool:
    """Whether somebody's own changes of hours wait for agreement (UC4.5)."""
    return actor.kind is not ActorKind.STAFF and load_settings(session).value("hours_approval") == NEEDED


@writing
def ask_for_change(
    db: Session, *, actor: Actor, practitioner_id: int, change: HoursChange, token: str
) -> HoursRequest:  # fmt: skip
    """Write down what a practitioner wants to change; nothing changes until somebody agrees.

    Args: token, the form's own: the same again asks once.
    Commits: submission, the wish, audit.
    Raises: InvalidRequest for what cannot be meant, NotAllowed, NotFound, SubmissionConflict.
    Source: UC4.5.
    """
    body = {"what": "ask_hours", "practitioner": practitioner_id, "change": to_plain(change)}
    submission_id, earlier_id = submissions.begin(db, actor, token, body)
    if earlier_id is not None:
        return db.get_one(HoursRequest, earlier_id)
    practitioner = db.get(Practitioner, practitioner_id)
    if practitioner is None:
        raise NotFound
    hours.may_change(actor, practitioner)
    _try(db, actor, practitioner, change)
    wish = HoursRequest(
        practitioner_id=practitioner_id,
        asked_by_account_id=actor.account_id,
        asked_at=clock.now(),
        change=to_plain(change),
        status=HoursRequestStatus.ASKED,
    )
    db.add(wish)
    db.flush()
    record(db, actor, "ask_hours", wish, after={"kind": wish.change["kind"]})
    submissions.finish(db, submission_id, wish.id)
    return wish


def _try(session: Session, actor: Actor, practitioner: Practitioner, change: HoursChange) -> None:
    """Refuse what cannot be meant, by writing it and taking it back."""
    savepoint = session.begin_nested()
    try:
        hours.write_change(session, actor, practitioner, change)
    finally:
        savepoint.rollback()


@writing
def agree(
    db: Session, *, actor: Actor, request_id: int, answers: hours.Answers = hours.NO_ANSWERS
) -> HoursRequest:  # fmt: skip
    """Agree to a change of hours, and carry it out; agreed already, nothing happens.

    Args: answers, by visit, what to do with those that would be outside of the hours.
    Commits, Raises: as `hours.change_hours`; BadTransition when it was refused or taken back.
    """
    wish = _to_decide(db, actor, request_id)
    if wish.status is HoursRequestStatus.APPROVED:
        return wish
    _decide(db, actor, wish, HoursRequestStatus.APPROVED)
    hours.carry_out(db, actor, wish.practitioner_id, from_plain(wish.change), answers)
    return wish


@writing
def refuse(db: Session, *, actor: Actor, request_id: int) -> HoursRequest:
    """Refuse a change of hours; whose it is gets a mail.

    Commits: the wish, audit, a message; rings.
    Raises: BadTransition when it was decided otherwise, NotAllowed, NotFound.
    """
    wish = _to_decide(db, actor, request_id)
    if wish.status is not HoursRequestStatus.REFUSED:
        _decide(db, actor, wish, HoursRequestStatus.REFUSED)
        tell_account(db, wish.asked_by_account_id, Event.HOURS_REFUSED)
    return wish


@writing
def take_back(db: Session, *, actor: Actor, request_id: int) -> HoursRequest:
    """Take an own wish back before anybody has decided.

    Commits: the wish, audit.
    Raises: BadTransition when it was decided, NotAllowed for whom it is not, NotFound.
    """
    wish = _lock(db, request_id)
    if wish.asked_by_account_id != actor.account_id:
        raise NotAllowed
    if wish.status is not HoursRequestStatus.WITHDRAWN:
        _decide(db, actor, wish, HoursRequestStatus.WITHDRAWN)
    return wish


def _to_decide(session: Session, actor: Actor, request_id: int) -> HoursRequest:
    if actor.kind is not ActorKind.STAFF:
        raise NotAllowed
    return _lock(session, request_id)


def _lock(session: Session, request_id: int) -> HoursRequest:
    found = select(HoursRequest).where(HoursRequest.id == request_id).with_for_update(key_share=True)
    wish = session.scalars(found.execution_options(populate_existing=True)).one_or_none()
    if wish is None:
        raise NotFound
    return wish


def _decide(session: Session, actor: Actor, wish: HoursRequest, status: HoursRequestStatus) -> None:
    if wish.status is not HoursRequestStatus.ASKED:
        raise BadTransition(N_("Somebody has decided about this already."), current=wish.status.value)
    wish.status, wish.decided_at, wish.decided_by_account_id = status, clock.now(), actor.account_id
    session.flush()
    record(session, actor, f"{status.value}_hours", wish)


def open_wishes(session: Session, practitioner_ids: Sequence[int]) -> list[HoursRequest]:
    """The changes of some practitioners that wait, the oldest first."""
    found = select(HoursRequest).where(
        HoursRequest.status == HoursRequestStatus.ASKED, HoursRequest.practitioner_id.in_(practitioner_ids)
    )
    return list(session.scalars(found.order_by(HoursRequest.id)))


def count_wishes(session: Session, places: Collection[int] | None = None) -> int:
    """How many changes wait for somebody's agreement; of those who work at some places only, unless None is given."""
    found = select(func.count()).where(HoursRequest.status == HoursRequestStatus.ASKED)
    if places is not None:
        works_there = select(AvailabilityRule.practitioner_id).where(AvailabilityRule.location_id.in_(places))
        found = found.where(HoursRequest.practitioner_id.in_(works_there))
    return session.scalar(found) or 0
