"""The audit log as a chain: each committed entry is sealed by a digest that also covers the seal before it.

Entries are sealed some seconds after their commit, in an order of their own, since numbers of entries may become
visible in another order than they were given. What an entry says of a person lies in `audit_values` under a salt of its
own; the seal keeps only the digest of it, so a person can be erased and the chain still verifies.

The chain finds every entry that was changed, put in or taken out inside of it. Somebody who may write the whole
database could make a new chain: against that, the newest seal goes to the log every night, to be compared later.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, bindparam, func, insert, select
from sqlalchemy.orm import Session

from clinic_portal.database import snapshot, take_turns, writing
from clinic_portal.models import AuditEntry, AuditSeal, AuditValues

log = logging.getLogger(__name__)

AT_ONCE = 500
# Entries that become visible so many numbers later than others are found only at night.
LATE = 10_000
BATCHES_A_TURN = 20
# A number of its own for taking turns.
TURNS = 7263013
FAULTS_SHOWN = 20

_SEALED = (
    AuditEntry.id, AuditEntry.made_at, AuditEntry.actor_kind, AuditEntry.actor_account_id, AuditEntry.for_patient_id,
    AuditEntry.action, AuditEntry.subject_type, AuditEntry.subject_id, AuditEntry.request_id,
)  # fmt: skip
_VALUES = (AuditValues.salt, AuditValues.before, AuditValues.after)
_UNSEALED: Select[*tuple[Any, ...]] = (
    select(*_SEALED, *_VALUES)
    .outerjoin(AuditSeal, AuditSeal.audit_entry_id == AuditEntry.id)
    .outerjoin(AuditValues, AuditValues.audit_entry_id == AuditEntry.id)
    .where(AuditEntry.id > bindparam("after_id"), AuditSeal.number.is_(None))
    .order_by(AuditEntry.id)
)
_NEWEST = select(AuditSeal.number, AuditSeal.digest).order_by(AuditSeal.number.desc()).limit(1)
_CHAIN: Select[*tuple[Any, ...]] = (
    select(AuditSeal.number, AuditSeal.audit_entry_id, AuditSeal.values_digest, AuditSeal.digest, *_SEALED, *_VALUES)
    .outerjoin(AuditEntry, AuditEntry.id == AuditSeal.audit_entry_id)
    .outerjoin(AuditValues, AuditValues.audit_entry_id == AuditSeal.audit_entry_id)
    .where(AuditSeal.number > bindparam("after_number"))
    .order_by(AuditSeal.number)
)


@dataclass(frozen=True)
class Seal:
    """A place in the chain: how many entries are sealed up to there, and the digest of all of them."""

    number: int = 0
    digest: str = ""

    def __str__(self) -> str:
        return f"{self.number}:{self.digest}"


@dataclass
class Verified:
    """What a walk along the chain found: where it ends, and the first faults as number of seal and code.

    Codes: `changed`, `values_changed`, `entry_gone`, `seal_gone`, `not_as_noted`.
    """

    newest: Seal = field(default_factory=Seal)
    faults: list[tuple[int, str]] = field(default_factory=list)
    fault_count: int = 0

    def add(self, number: int, code: str) -> None:
        self.fault_count += 1
        if len(self.faults) < FAULTS_SHOWN:
            self.faults.append((number, code))


def seal_audit(*, whole: bool = False) -> int:
    """Seal the entries that were committed since, and count them; the rest of many in the next turn.

    Args: whole, also those that became visible very late, however many.
    Commits: the seals, some hundred at a time.
    """
    done, batches = 0, 0
    while whole or batches < BATCHES_A_TURN:
        sealed = _seal_some(whole)
        done, batches = done + sealed, batches + 1
        if sealed < AT_ONCE:
            break
    return done


@writing
def _seal_some(session: Session, whole: bool) -> int:
    # Race: two sealers would give one number to two entries.
    take_turns(session, TURNS)
    last = newest_seal(session)
    highest = session.scalar(select(func.max(AuditSeal.audit_entry_id))) or 0
    rows = session.execute(_UNSEALED.limit(AT_ONCE), {"after_id": 0 if whole else highest - LATE}).all()
    seals = []
    for row in rows:
        values_digest = _values_digest(row)
        last = Seal(last.number + 1, _digest(last.digest, row, values_digest))
        seals.append({"number": last.number, "audit_entry_id": row.id, "values_digest": values_digest,
                      "digest": last.digest})  # fmt: skip
    if seals:
        session.execute(insert(AuditSeal), seals)
    return len(seals)


def newest_seal(session: Session) -> Seal:
    """Where the chain ends now; number 0 before its first seal."""
    last = session.execute(_NEWEST).first()
    return Seal() if last is None else Seal(last.number, last.digest)


def verify(session: Session, *, after: int = 0, noted: Seal | None = None) -> Verified:
    """Walk along the chain and work out every digest anew.

    Args: session, of a `snapshot`. after, the number of the seal from which on; it is believed. noted, a seal that was
    written down outside: the chain must still have it.
    """
    previous = Seal()
    if after:
        before = session.scalar(select(AuditSeal.digest).where(AuditSeal.number == after))
        previous = Seal(after, before or "")
    found = Verified(previous)
    for row in _rows(session, after):
        if row.number != previous.number + 1:
            found.add(previous.number + 1, "seal_gone")
        _look_at(found, previous, row)
        previous = found.newest = Seal(row.number, row.digest)
        if noted is not None and noted.number == row.number and noted.digest != row.digest:
            found.add(row.number, "not_as_noted")
    if noted is not None and noted.number > found.newest.number:
        found.add(noted.number, "seal_gone")
    return found


def _rows(session: Session, after: int) -> Iterator[Any]:
    yield from session.execute(_CHAIN, {"after_number": after}, execution_options={"yield_per": 1000})


def _look_at(found: Verified, previous: Seal, row: Any) -> None:
    if row.id is None:
        found.add(row.number, "entry_gone")
    elif row.digest != _digest(previous.digest, row, row.values_digest):
        found.add(row.number, "changed")
    # Values that are gone were erased with their person.
    elif row.salt is not None and row.values_digest != _values_digest(row):
        found.add(row.number, "values_changed")


def count_unsealed(session: Session, made_before: Any) -> int:
    """How many entries older than an instant wait for their seal."""
    waiting = _UNSEALED.where(AuditEntry.made_at < made_before).with_only_columns(func.count()).order_by(None)
    return session.scalar(waiting, {"after_id": 0}) or 0


def verify_nightly() -> None:
    """Seal what is left, verify the whole chain, and tell the log where it ends."""
    seal_audit(whole=True)
    with snapshot() as session:
        found = verify(session)
    if found.fault_count:
        log.error("the audit log has %d faults, the first at %s", found.fault_count, found.faults[0])
    log.info("audit log sealed up to %s", found.newest)


def _values_digest(row: Any) -> str:
    """The digest of what an entry says of a person; nothing when that is erased already."""
    return "" if row.salt is None else _sha([row.salt, row.before, row.after])


def _digest(previous: str, row: Any, values_digest: str) -> str:
    entry = [row.id, row.made_at.isoformat(), row.actor_kind, row.actor_account_id, row.for_patient_id, row.action,
             row.subject_type, row.subject_id, row.request_id]  # fmt: skip
    return _sha([previous, entry, values_digest])


def _sha(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
