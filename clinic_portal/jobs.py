"""What workers do when somebody rings, and everything that happens by itself, in one list.

Every job means "look, and do what is due": it carries nothing, and may run twice, late, or in two places.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from clinic_portal import clock, leases, queues
from clinic_portal.accounts.drafts import forget_old_drafts
from clinic_portal.accounts.kept_forms import forget_old_forms
from clinic_portal.accounts.sign_ins import forget_old_sign_ins
from clinic_portal.accounts.throttle import forget_old_tries
from clinic_portal.audit_seal import seal_audit, verify_nightly
from clinic_portal.database import db
from clinic_portal.day_sheets import write_day_sheets
from clinic_portal.notifications import delivery
from clinic_portal.notifications.replanning import plan_all
from clinic_portal.profile.granting import ask_for_reviews
from clinic_portal.scheduling import due, queue
from clinic_portal.scheduling.escalation import escalate
from clinic_portal.scheduling.holds import close_expired_holds
from clinic_portal.scheduling.invitations import note_used_invitations
from clinic_portal.scheduling.sessions import roll_sessions
from clinic_portal.scheduling.zones import clinic_zone

# A message that nobody fetched for this long was rung for in vain; then another ring is tried.
RING_AGAIN_AFTER = timedelta(seconds=3)
# And after this long no worker seems to be there: the sweeper sends it itself.
SEND_HERE_AFTER = timedelta(seconds=30)
# A request that is due for this long and still not looked at: no worker seems to be there.
SERVE_HERE_AFTER = timedelta(seconds=10)
# Then the sweep goes on to its other duties, and comes back.
SERVE_HERE_FOR_S = 10.0
NIGHTLY_AT_MIN = 2 * 60

log = logging.getLogger(__name__)


def deliver_notifications() -> None:
    """Send the messages that are due."""
    if not delivery.deliver_due():
        # The rest is another job's, or this one would be stopped in the middle of a mail.
        queues.ring("deliver_notifications")


def drain_requests() -> None:
    """Serve everybody who waits for a time."""
    if not queue.drain():
        # The rest is another job's: whoever asked meanwhile has rung in vain while this one ran.
        queues.ring("drain_requests")


def roll_horizon() -> None:
    """Make the sessions of the days that have come within the horizon."""
    log.info("sessions made for %d practitioners", roll_sessions())


def sweep() -> None:
    """Do every duty whose time has come, from what the database says alone; one that fails holds up no other."""
    with_times = leases.done_times(_fresh_session())
    for duty in DUTIES:
        due_before = duty.due_before(clock.now())
        done_at = with_times.get(duty.name)
        if done_at is None or done_at < due_before:
            _do(duty, due_before)


def last_sweep_at(session: Session) -> datetime | None:
    """When any duty was last done: the sign that somebody sweeps."""
    times = leases.done_times(session)
    return max((times[duty.name] for duty in DUTIES if duty.name in times), default=None)


@dataclass(frozen=True)
class Duty:
    """Something that happens by itself. It is due when it was last done before `due_before(now)`.

    `lease`: how long others leave it alone while it runs, and how long it rests after it failed.
    """

    name: str
    run: Callable[[], object]
    due_before: Callable[[datetime], datetime]
    lease: timedelta = timedelta(seconds=15)


def _every(seconds: float) -> Callable[[datetime], datetime]:
    return lambda now: now - timedelta(seconds=seconds)


def _nightly(now: datetime) -> datetime:
    """The last time that it was two at night at the clinic: a night that was missed is made up for."""
    zone = clinic_zone(_fresh_session())
    today = clock.local_date(now, zone)
    tonight = clock.wall_to_instant(today, NIGHTLY_AT_MIN, zone)
    return tonight if tonight <= now else clock.wall_to_instant(today - timedelta(days=1), NIGHTLY_AT_MIN, zone)


def _have_messages_sent() -> None:
    """Ring for messages that wait; send them here when nobody hears it, or nobody came."""
    session = _fresh_session()
    oldest = delivery.oldest_due_at(session)
    session.rollback()
    if oldest is None:
        return
    waited = clock.now() - oldest
    if waited < RING_AGAIN_AFTER:
        return
    if waited > SEND_HERE_AFTER or not queues.ring("deliver_notifications"):
        delivery.deliver_due()


def _have_requests_served() -> None:
    """Ring for whoever waits; serve them here when nobody hears it, or nobody came."""
    if not queue.is_anybody_due():
        return
    oldest, now = due.oldest_due_at(_fresh_session(), clock.now()), clock.now()
    has_waited = oldest is not None and now - oldest > SERVE_HERE_AFTER
    if has_waited or not queues.ring("drain_requests"):
        queue.drain(SERVE_HERE_FOR_S)


# Everything that happens by itself. The sweeper looks every five seconds.
DUTIES = (
    Duty("send messages", _have_messages_sent, _every(4)),
    # Before the requests: time that an expired hold kept is time that somebody may be waiting for.
    Duty("close expired holds", close_expired_holds, _every(4)),
    Duty("serve requests", _have_requests_served, _every(4)),
    Duty("escalate requests", escalate, _every(60)),
    Duty("note used invitations", note_used_invitations, _every(60)),
    Duty("plan reminders", plan_all, _every(20)),
    Duty("ask for reviews of rights", ask_for_reviews, _nightly),
    Duty("write day sheets", write_day_sheets, _every(3600), lease=timedelta(minutes=2)),
    Duty("seal the audit log", seal_audit, _every(4)),
    Duty("verify the audit log", verify_nightly, _nightly, lease=timedelta(minutes=10)),
    Duty("forget typed forms", forget_old_forms, _every(600)),
    Duty("forget drafts", forget_old_drafts, _every(600)),
    Duty("forget old tries", forget_old_tries, _nightly),
    Duty("forget old sign-ins", forget_old_sign_ins, _nightly),
    Duty("roll horizon", roll_horizon, _nightly, lease=timedelta(minutes=5)),
)


def _do(duty: Duty, due_before: datetime) -> None:
    try:
        turn = leases.take_turn(duty.name, due_before=due_before, lease=duty.lease)
        if turn is not None:
            duty.run()
            leases.end_turn(duty.name, turn)
    except Exception as error:  # noqa: BLE001  # whatever it is, the other duties are not to blame
        # Where, not what: the text of a database error repeats the values of its row.
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("%s failed: %s\n%s", duty.name, type(error).__name__, where)


def _fresh_session() -> Session:
    session = db.session()
    # What this session saw in the sweep before is old by now.
    session.rollback()
    return session
