"""Private addresses from which calendar programs read: made, made anew, and taken away by whose they are."""

from __future__ import annotations

import hashlib
import secrets

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from clinic_portal import clock
from clinic_portal.audit import Actor, record
from clinic_portal.database import writing
from clinic_portal.errors import NotAllowed
from clinic_portal.models import Account, CalendarFeed, FeedKind


@writing
def make_feed(session: Session, *, actor: Actor, kind: FeedKind) -> str:
    """Make an address for a calendar program; the one before it works no more.

    Commits: the feed, audit. Returns: the token of the address, which is kept nowhere.
    Raises: NotAllowed.
    """
    if actor.account_id is None:
        raise NotAllowed
    # Race: two at once make two in a row, since each waits for the account.
    session.execute(select(Account.id).where(Account.id == actor.account_id).with_for_update(key_share=True))
    _end(session, actor, kind)
    token = secrets.token_urlsafe(32)
    feed = CalendarFeed(
        account_id=actor.account_id, kind=kind, token_hash=_hash(token), made_at=clock.now()
    )  # fmt: skip
    session.add(feed)
    session.flush()
    record(session, actor, "make_feed", feed)
    return token


@writing
def end_feed(session: Session, *, actor: Actor, kind: FeedKind) -> None:
    """Take the address away; nothing happens when there is none.

    Commits: the feed, audit.
    """
    _end(session, actor, kind)


def _end(session: Session, actor: Actor, kind: FeedKind) -> None:
    live = select(CalendarFeed).filter_by(account_id=actor.account_id, kind=kind, ended_at=None)
    for feed in session.scalars(live):
        feed.ended_at = clock.now()
        session.flush()
        record(session, actor, "end_feed", feed)


def live_feeds(session: Session, account_id: int) -> dict[FeedKind, CalendarFeed]:
    """The feeds of an account that can be read."""
    found = session.scalars(select(CalendarFeed).filter_by(account_id=account_id, ended_at=None))
    return {feed.kind: feed for feed in found}


def feed_behind(session: Session, token: str) -> CalendarFeed | None:
    """The feed at an address, while it and its account are live."""
    found = select(CalendarFeed).filter_by(token_hash=_hash(token), ended_at=None)
    feed = session.scalar(found.options(joinedload(CalendarFeed.account)))
    return feed if feed is not None and feed.account.active else None


def _hash(token: str) -> str:
    # 32 random bytes: nothing to guess, so nothing to slow down.
    return hashlib.sha256(token.encode()).hexdigest()
