"""Where somebody is signed in: one row for each browser, which can be ended from any other."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import bindparam, delete, or_, select, update
from sqlalchemy.orm import Session, contains_eager

from clinic_portal import audit, clock
from clinic_portal.database import writing
from clinic_portal.errors import NotFound
from clinic_portal.models import Account, RoleName, SignIn
from clinic_portal.settings import Settings

CLINIC_ROLES = (RoleName.PRACTITIONER, RoleName.FRONT_DESK, RoleName.ADMIN)
# The row is touched this often, so that looking at pages hardly ever writes.
TOUCH_EVERY = timedelta(minutes=5)
# How long a sign-in that is over stays in the table.
FORGET_AFTER = timedelta(days=90)

_FIND = (
    select(SignIn)
    .join(SignIn.account)
    .options(contains_eager(SignIn.account).joinedload(Account.roles))
    .where(
        SignIn.public_id == bindparam("public_id"),
        SignIn.ended_at.is_(None),
        Account.fs_uniquifier == bindparam("uniquifier"),
        Account.active,
    )
)


def find(session: Session, public_id: str, uniquifier: str) -> SignIn | None:
    """The sign-in that a browser's cookie names, with its account, unless it was ended or the account closed."""
    return session.scalars(_FIND, {"public_id": public_id, "uniquifier": uniquifier}).unique().one_or_none()


def timeout(settings: Settings, account: Account) -> timedelta:
    """How long somebody may do nothing and stay signed in. Who has two roles has the shorter time."""
    return timedelta(minutes=_shorter(settings, account, "timeout_min"))


def longest(settings: Settings, account: Account) -> timedelta:
    """How long a sign-in lasts at most, whatever is done with it. Source: OWASP ASVS 5, 7.3.2."""
    return timedelta(hours=_shorter(settings, account, "sign_in_max_h"))


def _shorter(settings: Settings, account: Account, name: str) -> int:
    groups = ("patient", "staff") if account.has_role_name(*CLINIC_ROLES) else ("patient",)
    return min(settings.number(f"{group}_{name}") for group in groups)


def live(session: Session, account: Account, settings: Settings) -> list[SignIn]:
    """Where an account is signed in now, the newest first.

    Those that may just have run out are listed too: only their own browser knows it exactly.
    """
    since = clock.now() - timeout(settings, account) - TOUCH_EVERY
    query = select(SignIn).where(
        SignIn.account_id == account.id,
        SignIn.ended_at.is_(None),
        SignIn.last_seen_at > since,
        SignIn.started_at > clock.now() - longest(settings, account),
    )
    return list(session.scalars(query.order_by(SignIn.started_at.desc(), SignIn.id.desc())))


@writing
def begin(
    session: Session, *, account_id: int, browser: str, is_two_factor: bool = False, instead_of: str | None = None
) -> str:
    """Remember that somebody has just signed in.

    Args: browser, see `browsers`; instead_of, the sign-in that the same browser had before: it is over.
    Commits: the sign-in.
    """
    now = clock.now()
    if instead_of is not None:
        _end(session, instead_of)
    row = SignIn(account_id=account_id, started_at=now, last_seen_at=now, browser=browser,
                 is_two_factor=is_two_factor)  # fmt: skip
    session.add(row)
    session.flush()
    return row.public_id


@writing
def touch(session: Session, *, public_id: str) -> None:
    """Note that somebody is still there.

    Commits: when they were seen last.
    """
    session.execute(update(SignIn).where(SignIn.public_id == public_id).values(last_seen_at=clock.now()))


@writing
def end(session: Session, *, public_id: str) -> None:
    """Sign out in one browser. Doing it again changes nothing.

    Commits: the end.
    """
    _end(session, public_id)


def _end(session: Session, public_id: str) -> None:
    rows = update(SignIn).where(SignIn.public_id == public_id, SignIn.ended_at.is_(None))
    session.execute(rows.values(ended_at=clock.now()))


@writing
def end_elsewhere(session: Session, *, actor: audit.Actor, account_id: int, public_id: str) -> None:
    """Sign out in another browser of the same account. Doing it again changes nothing.

    Commits: the end, audit.
    Raises: NotFound for a sign-in of somebody else.
    """
    row = session.scalar(select(SignIn).where(SignIn.public_id == public_id, SignIn.account_id == account_id))
    if row is None:
        raise NotFound
    if row.ended_at is None:
        row.ended_at = clock.now()
        audit.record(session, actor, "sign_out_elsewhere", row)


@writing
def end_others(session: Session, *, actor: audit.Actor, account_id: int, but: str) -> None:
    """Sign out everywhere else.

    Args: but, the public id of the sign-in that stays.
    Commits: the ends, audit.
    """
    account = session.get_one(Account, account_id, with_for_update={"key_share": True})
    end_all(session, account_id, but=but)
    audit.record(session, actor, "sign_out_elsewhere", account)


def end_all(session: Session, account_id: int, *, but: str | None = None) -> None:
    """End every sign-in of an account, inside the caller's transaction, which has locked the account."""
    rows = update(SignIn).where(SignIn.account_id == account_id, SignIn.ended_at.is_(None))
    session.execute((rows if but is None else rows.where(SignIn.public_id != but)).values(ended_at=clock.now()))


@writing
def forget_old_sign_ins(session: Session) -> None:
    """Throw away sign-ins that have been over for long.

    Commits: that.
    """
    before = clock.now() - FORGET_AFTER
    session.execute(delete(SignIn).where(or_(SignIn.ended_at < before, SignIn.last_seen_at < before)))
