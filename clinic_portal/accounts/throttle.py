"""How often something may be tried: counted in the database, so that it holds over all processes and hosts.

A try is counted before it is made, so that many at once do not slip through together, and given back when it was right.
What is counted are typed addresses and networks, known or not: nothing here tells whether an account exists.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, select, text
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.accounts.tokens import keyed
from clinic_portal.database import run, writing
from clinic_portal.errors import TooManyTries
from clinic_portal.models import Throttle, UTCDateTime

# Without a try for this long, all is forgotten.
FORGET_AFTER = timedelta(days=1)


class Kind(enum.StrEnum):
    """What is tried."""

    SIGN_IN = "sign_in"
    MAIL = "mail"
    PASSWORD = "password"  # noqa: S105  # the name of a limit
    CODE = "code"
    # Of a link in a mail that nobody signed.
    LINK = "link"
    SECOND_STEP = "second_step"


@dataclass(frozen=True)
class Limit:
    """So many tries are free; after each further one there is a pause, twice as long each time."""

    free: int
    first_pause: timedelta
    longest: timedelta

    def pause(self, tries: int) -> timedelta:
        """How long to wait after so many tries."""
        if tries < self.free:
            return timedelta(0)
        return min(self.first_pause * (1 << min(tries - self.free, 16)), self.longest)


_MINUTE = timedelta(minutes=1)
# For one address or account, and for one network, where many people may sit behind one number.
LIMITS = {
    Kind.SIGN_IN: (Limit(5, _MINUTE, 60 * _MINUTE), Limit(50, _MINUTE, 60 * _MINUTE)),
    Kind.MAIL: (Limit(3, 5 * _MINUTE, 240 * _MINUTE), Limit(30, 5 * _MINUTE, 60 * _MINUTE)),
    Kind.PASSWORD: (Limit(5, _MINUTE, 60 * _MINUTE), Limit(50, _MINUTE, 60 * _MINUTE)),
    Kind.LINK: (Limit(20, _MINUTE, 60 * _MINUTE), Limit(20, _MINUTE, 60 * _MINUTE)),
    Kind.SECOND_STEP: (Limit(5, _MINUTE, 60 * _MINUTE), Limit(50, _MINUTE, 60 * _MINUTE)),
    Kind.CODE: (Limit(5, 5 * _MINUTE, 240 * _MINUTE), Limit(30, 5 * _MINUTE, 240 * _MINUTE)),
}
_FIRST_TIME = text(
    "INSERT INTO throttles (name, tries, last_at, refused_until) VALUES (:name, 0, :at, :at) "
    "ON CONFLICT (name) DO NOTHING"
).bindparams(bindparam("at", type_=UTCDateTime))


def network_of(remote_addr: str | None) -> str | None:
    """The network that somebody comes from: one IPv4 address, or the /64 that one household or host has.

    None for this machine itself: nobody out there has that address, only a proxy whose word is not believed.
    """
    try:
        address = ipaddress.ip_address(remote_addr or "")
    except ValueError:
        return None
    if address.is_loopback:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False).network_address
    return str(address)


@writing
def take_try(session: Session, kind: Kind, *, who: str, network: str | None) -> None:
    """Count one try, before it is made.

    Args: who, the address as typed or the account's id; network, see `network_of`.
    Commits: the count, so that whatever happens next it was a try.
    Raises: TooManyTries, with the time from when on it may be tried again; then nothing is counted.
    """
    now = clock.now()
    found = _rows(session, kind, who, network, now)
    refused_until = max((row.refused_until for row, _ in found), default=now)
    if refused_until > now:
        raise TooManyTries(until=refused_until)
    for row, limit in found:
        row.tries = 1 if now - row.last_at > FORGET_AFTER else row.tries + 1
        row.last_at, row.refused_until = now, now + limit.pause(row.tries)


@writing
def give_back(session: Session, kind: Kind, *, who: str, network: str | None) -> None:
    """Forget the tries of somebody who was right; their network only this one.

    Commits: the counts.
    """
    now = clock.now()
    rows = [row for row, _ in _rows(session, kind, who, network, now)]
    rows[0].tries = 0
    for row in rows[1:]:
        row.tries = max(0, row.tries - 1)
    for row in rows:
        row.refused_until = now


@writing
def forget_old_tries(session: Session) -> None:
    """Throw away counts that count no longer.

    Commits: that.
    """
    session.execute(delete(Throttle).where(Throttle.last_at < clock.now() - FORGET_AFTER))


def _rows(session: Session, kind: Kind, who: str, network: str | None, now: datetime) -> list[tuple[Throttle, Limit]]:
    """The rows that count this, locked: first who, then the network; new ones refuse nothing from `now` on."""
    by_who, by_network = LIMITS[kind]
    limits = {_name(kind, "who", who.strip().lower()): by_who}
    if network is not None:
        limits[_name(kind, "network", network)] = by_network
    _begin_counting(session, sorted(limits), now)
    # Race: always in the order of their names, so that two who need the same rows never wait for each other.
    query = select(Throttle).where(Throttle.name.in_(limits)).order_by(Throttle.name).with_for_update()
    found = {row.name: row for row in session.scalars(query)}
    return [(found[name], limit) for name, limit in limits.items()]


def _begin_counting(session: Session, names: Iterable[str], now: datetime) -> None:
    for name in names:
        run(session, _FIRST_TIME, {"name": name, "at": now})


def _name(kind: Kind, what: str, whose: str) -> str:
    return f"{kind}:{what}:{keyed(whose)[:40]}"
