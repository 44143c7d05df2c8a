"""Recovery codes: shown once on paper or screen, kept as hashes, good for one sign-in each."""

from __future__ import annotations

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.accounts.codes import new_code, plain, shown
from clinic_portal.accounts.tokens import keyed
from clinic_portal.models import RecoveryCode

NUMBER = 10


def make(session: Session, account_id: int) -> list[str]:
    """New codes in place of the old ones, inside the caller's transaction, which has locked the account.

    They are told now and never again.
    """
    forget(session, account_id)
    codes = [new_code() for _ in range(NUMBER)]
    session.add_all(RecoveryCode(account_id=account_id, code_hash=_hash(account_id, code)) for code in codes)
    return [shown(code) for code in codes]


def take(session: Session, account_id: int, typed: str) -> bool:
    """Use a code up, inside the caller's transaction, which has locked the account. False for one that is not right."""
    query = select(RecoveryCode).filter_by(code_hash=_hash(account_id, plain(typed)), used_at=None)
    code = session.scalar(query)
    if code is None:
        return False
    code.used_at = clock.now()
    return True


def left(session: Session, account_id: int) -> int:
    """How many codes an account can still use."""
    query = select(func.count()).select_from(RecoveryCode).filter_by(account_id=account_id, used_at=None)
    return session.scalar(query) or 0


def forget(session: Session, account_id: int) -> None:
    """Throw all codes of an account away, inside the caller's transaction."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.account_id == account_id))


def _hash(account_id: int, code: str) -> str:
    return keyed(f"recovery code:{account_id}:{code}")
