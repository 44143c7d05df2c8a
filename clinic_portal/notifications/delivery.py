"""What becomes of a message: claimed, sent with no transaction open, and what happened written down.

A claim is a lease. Whoever dies between claim and record leaves a row that another takes over when the lease ends, and
the second copy has the same Message-ID as the first. So every message leaves at least once, and is read once.
"""

from __future__ import annotations

import logging
import random
import secrets
import time
import traceback
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.message import EmailMessage

from flask import current_app
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.database import db, writing
from clinic_portal.models import Appointment, Confirmation, ContactPoint, Delivery, Notification
from clinic_portal.notifications import channels, message_texts, messages, outbox
from clinic_portal.notifications.account_letters import AccountLetter
from clinic_portal.notifications.facts import NoAddress, NotNow, Overtaken
from clinic_portal.notifications.letters import AnyLetter, ReminderLetter, read_letter
from clinic_portal.notifications.reminders import SHARED

BATCH = 20
LEASE = timedelta(seconds=60)
# A batch is left alone after this long, so that its last mail still has most of its lease.
SEND_FOR_S = 20.0
FIRST_PAUSE_S = 10.0
LONGEST_PAUSE_S = 600.0
GIVE_UP_AFTER = timedelta(hours=24)

# Written out, because SQLite uses a partial index only for the very words it was made with.
_OPEN = text("notifications.delivery IN ('due', 'sending')")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Verdict:
    """What happened to one message; `due` asks for another try, at a time or after a pause, unless it is too late."""

    delivery: Delivery
    detail: str | None = None
    contact_point_id: int | None = None
    is_bad_address: bool = False
    next_try_at: datetime | None = None
    # What the mail said besides: messages of other visits that it stands for, visits whose patients it asks to come.
    told_along: tuple[int, ...] = ()
    asked_of: tuple[tuple[int, int], ...] = ()
    # The clinic's own text with which the mail could not be made.
    failed_text_id: int | None = None


def deliver_due(for_s: float = SEND_FOR_S) -> bool:
    """Send what is due, batch after batch; says whether all of it was looked at in that time.

    Args: for_s: seconds after which no further batch begins.
    Commits: each message by itself, so that one which fails never holds up another.
    Source: UC6.3.
    """
    started = time.monotonic()
    while time.monotonic() - started < for_s:
        token = secrets.token_urlsafe(12)
        claimed = claim_due(token=token)
        if not claimed or not _send_batch(claimed, token):
            return True
    return False


@writing
def claim_due(session: Session, *, token: str, limit: int = BATCH) -> list[int]:
    """Take the messages whose time has come, so that nobody else sends them; returns their ids.

    Commits: the lease, which ends by itself.
    """
    now = clock.now()
    # Race: two workers claim at once. On Postgres each skips what the other is taking; on SQLite they take turns.
    due = (
        select(Notification.id)
        .where(_OPEN, Notification.next_try_at <= now)
        .order_by(Notification.next_try_at, Notification.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = list(session.scalars(due))
    if ids:
        session.execute(
            update(Notification)
            .where(Notification.id.in_(ids))
            .values(delivery=Delivery.SENDING, lease=token, next_try_at=now + LEASE, tries=Notification.tries + 1)
            .execution_options(synchronize_session=False)
        )
    return ids


@writing
def record(session: Session, notification_id: int, *, token: str, verdict: Verdict) -> bool:
    """Write down what became of a claimed message; says whether it was still ours to say.

    Commits: the message, and with a refusal also the flag on the address and the call that the desk has to make.
    """
    # Visits before messages, as everywhere.
    _note_asked(session, verdict.asked_of)
    # Race: a sender that comes back after its lease must not overwrite what its successor did.
    mine = select(Notification).where(Notification.id == notification_id, Notification.lease == token)
    row = session.scalar(mine.with_for_update())
    if row is None:
        return False
    now = clock.now()
    row.lease, row.detail = None, verdict.detail
    row.contact_point_id = verdict.contact_point_id or row.contact_point_id
    row.delivery = verdict.delivery
    if verdict.delivery == Delivery.SENT:
        row.sent_at = now
        _note_told_along(session, verdict.told_along, now)
    elif verdict.next_try_at is not None:
        row.next_try_at = verdict.next_try_at
    elif verdict.delivery == Delivery.DUE and now - row.due_at < GIVE_UP_AFTER:
        row.next_try_at = now + pause(row.tries)
    elif verdict.delivery != Delivery.SUPERSEDED:
        _give_up(session, row, verdict, now)
    return True


def _note_asked(session: Session, asked_of: tuple[tuple[int, int], ...]) -> None:
    """Their patients were asked whether they will come, unless the time has changed since or they have said so."""
    for visit_id, sequence in sorted(asked_of):
        session.execute(
            update(Appointment)
            .where(Appointment.id == visit_id, Appointment.sequence == sequence)
            .where(Appointment.confirmation == Confirmation.NOT_ASKED)
            .values(confirmation=Confirmation.ASKED)
            .execution_options(synchronize_session=False)
        )


def _note_told_along(session: Session, notification_ids: tuple[int, ...], now: datetime) -> None:
    # Race: a visit that shared this mail may have got a mail of its own meanwhile; while that waits, it is needless.
    if notification_ids:
        session.execute(
            update(Notification)
            .where(Notification.id.in_(notification_ids), Notification.sent_at.is_(None))
            .where(Notification.delivery.in_((Delivery.DUE, Delivery.SUPERSEDED)))
            .values(delivery=Delivery.SUPERSEDED, detail=SHARED, sent_at=now)
            .execution_options(synchronize_session=False)
        )


@writing
def give_back(session: Session, notification_ids: list[int], *, token: str) -> None:
    """Return claimed messages untried.

    Commits: them, as due as they were.
    """
    session.execute(
        update(Notification)
        .where(Notification.id.in_(notification_ids), Notification.lease == token)
        .values(delivery=Delivery.DUE, lease=None, next_try_at=clock.now(), tries=Notification.tries - 1)
        .execution_options(synchronize_session=False)
    )


def pause(tries: int) -> timedelta:
    """How long to wait before the next try: longer each time, and never the same for two messages."""
    longest = min(FIRST_PAUSE_S * 2.0 ** min(tries - 1, 16), LONGEST_PAUSE_S)
    return timedelta(seconds=longest * random.uniform(0.75, 1.0))


def oldest_due_at(session: Session) -> datetime | None:
    """Since when the message that has waited longest could have left; None when nothing waits."""
    oldest: datetime | None = session.scalar(
        select(func.min(Notification.next_try_at)).where(_OPEN, Notification.next_try_at <= clock.now())
    )
    return oldest


def _send_batch(claimed: list[int], token: str) -> bool:
    """Send claimed messages one by one; says whether the server still takes mails."""
    mailer = channels.open_mailer(current_app.config["PORTAL"])
    started = time.monotonic()
    try:
        for position, notification_id in enumerate(claimed):
            if time.monotonic() - started > SEND_FOR_S:
                give_back(claimed[position:], token=token)
                break
            try:
                verdict = _try_to_send(notification_id, mailer)
            except channels.Unreachable as error:
                log.warning("mails wait: %s", error.code)
                mailer = channels.NoServer(error.code)
                verdict = _try_to_send(notification_id, mailer)
            _settle(notification_id, token, verdict)
    finally:
        mailer.close()
    return not isinstance(mailer, channels.NoServer)


def _settle(notification_id: int, token: str, verdict: Verdict) -> None:
    if verdict.failed_text_id is not None:
        message_texts.note_failed(verdict.failed_text_id)
    if verdict.delivery != Delivery.SENT:
        log.info("notification %s: %s, %s", notification_id, verdict.delivery, verdict.detail)
    if not record(notification_id, token=token, verdict=verdict):
        log.warning("notification %s: another sender took over", notification_id)


def _try_to_send(notification_id: int, mailer: channels.Mailer) -> Verdict:
    """Send one message if it still is true.

    Raises: Unreachable when that says nothing about this message.
    """
    contact_point_id: int | None = None
    try:
        letter = _read(notification_id)
        contact_point_id = letter.contact_point_id
        mail, failed_text_id = _made(letter)
        mailer.send(mail, letter.address)
    except Overtaken as overtaken:
        return Verdict(Delivery.SUPERSEDED, overtaken.reason)
    except NotNow as error:
        return Verdict(Delivery.DUE, "quiet_hours", next_try_at=error.until)
    except NoAddress:
        return Verdict(Delivery.FAILED, "no_address")
    except channels.Unreachable:
        raise
    except channels.TryLater as error:
        return Verdict(Delivery.DUE, error.code, contact_point_id)
    except channels.Refused as error:
        return Verdict(Delivery.FAILED, error.code, contact_point_id, error.is_bad_address)
    except Exception as error:  # noqa: BLE001  # one broken message must not hold up the others
        # Where, not what: the text of an error may repeat an address.
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("notification %s: %s\n%s", notification_id, type(error).__name__, where)
        return Verdict(Delivery.DUE, f"error {type(error).__name__}", contact_point_id)
    return _sent(letter, failed_text_id)


def _made(letter: AnyLetter) -> tuple[EmailMessage, int | None]:
    """The mail; in the portal's own words when the clinic's text fails, and then which text that is.

    Source: no message is lost for a text.
    """
    if isinstance(letter, AccountLetter) or letter.own is None:
        return messages.compose(letter), None
    try:
        return messages.compose(letter), None
    except Exception as error:  # noqa: BLE001  # whatever is wrong with it
        mail = messages.compose(replace(letter, own=None))
        log.error("message text %s: %s", letter.own.id, type(error).__name__)
        return mail, letter.own.id


def _sent(letter: AnyLetter, failed_text_id: int | None) -> Verdict:
    sent = Verdict(Delivery.SENT, contact_point_id=letter.contact_point_id, failed_text_id=failed_text_id)
    if not isinstance(letter, ReminderLetter):
        return sent
    detail = None if letter.tells_own else "only_others_told"
    return replace(sent, detail=detail, told_along=letter.told_along, asked_of=letter.asked_of)


def _read(notification_id: int) -> AnyLetter:
    session = db.session()
    # What this session saw before may be old by now, and nothing may stay open while the mail server talks.
    session.rollback()
    try:
        return read_letter(session, notification_id)
    finally:
        session.rollback()


def _give_up(session: Session, row: Notification, verdict: Verdict, now: datetime) -> None:
    """End the tries: flag the address if it is to blame, and let the desk call the patient."""
    row.delivery = Delivery.FAILED
    if verdict.is_bad_address and row.contact_point_id is not None:
        contact = session.get_one(ContactPoint, row.contact_point_id)
        if contact.failed_at is None:
            contact.failed_at, contact.failed_reason = now, verdict.detail
    outbox.call_instead(session, row)
