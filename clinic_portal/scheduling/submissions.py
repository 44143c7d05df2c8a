"""The same form sent twice gives the same answer, whoever sends it at the same time."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from clinic_portal import clock
from clinic_portal.audit import Actor
from clinic_portal.database import run
from clinic_portal.errors import InvalidRequest, SubmissionConflict
from clinic_portal.languages import N_
from clinic_portal.models import Submission

MAX_TOKEN = 64

_INSERT = {
    name: dialect.insert(Submission).on_conflict_do_nothing(index_elements=["account_id", "token"]).returning(
        Submission.id
    )
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}  # fmt: skip
_FIND = select(Submission.body_hash, Submission.result_id).where(
    Submission.account_id == bindparam("account_id"), Submission.token == bindparam("token")
)
_FINISH = (
    update(Submission)
    .where(Submission.id == bindparam("submission_id"))
    .values(result_id=bindparam("result"))
    .execution_options(synchronize_session=False)
)


def begin(session: Session, actor: Actor, token: str, body: dict[str, Any]) -> tuple[int, int | None]:
    """Note that a form was sent: its row's id, and the result's id if the same form was already carried out.

    Call it first in the transaction: on Postgres the second of two equal forms waits here for the first.
    Raises: SubmissionConflict when the token came before with another body.
    Source: UC3.4, Q2.
    """
    if actor.account_id is None or not 0 < len(token) <= MAX_TOKEN:
        raise InvalidRequest(N_("Reload the page and try again."))
    key = {"account_id": actor.account_id, "token": token}
    values = {**key, "body_hash": _hash(body), "created_at": clock.now(), "result_id": None}
    made = run(session, _INSERT[session.get_bind().dialect.name], values).scalar_one_or_none()
    if made is not None:
        return made, None
    earlier = run(session, _FIND, key).one()
    if earlier.body_hash != values["body_hash"]:
        raise SubmissionConflict(result_id=earlier.result_id)
    return 0, earlier.result_id


def result_of(session: Session, account_id: int, token: str) -> int | None:
    """The id of what a form has made or changed, if it was sent before."""
    found = run(session, _FIND, {"account_id": account_id, "token": token}).one_or_none()
    return None if found is None else found.result_id


def finish(session: Session, submission_id: int, result_id: int) -> None:
    """Note what the form made."""
    run(session, _FINISH, {"submission_id": submission_id, "result": result_id})


def _hash(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, default=str).encode()).hexdigest()
