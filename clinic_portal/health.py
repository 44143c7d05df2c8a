"""Whether this process lives, and whether the portal can do its work: for whoever supervises it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint, Response, jsonify
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from clinic_portal import clock, jobs
from clinic_portal.database import database_answers, db
from clinic_portal.notifications.delivery import oldest_due_at

blueprint = Blueprint("health", __name__)

# The sweeper looks around every few seconds; a minute of silence means that it is gone.
SWEEP_LATE_S = 60


@blueprint.get("/healthz")
def alive() -> Response:
    """This process answers."""
    return jsonify(status="alive")


@blueprint.get("/readyz")
def ready() -> tuple[Response, int]:
    """The database answers; and how late messages and the sweeper are, which keeps no page from working."""
    try:
        facts = _facts(db.session())
    except DBAPIError:
        return jsonify(status="not ready", database="no answer"), 503
    return jsonify(status="ready", database="answers", **facts), 200


def _facts(session: Session) -> dict[str, Any]:
    database_answers(session)
    swept_s = _age_s(jobs.last_sweep_at(session))
    return {
        "oldest_unsent_message_s": _age_s(oldest_due_at(session)) or 0,
        "sweeper": "never seen" if swept_s is None else "late" if swept_s > SWEEP_LATE_S else "on time",
        "swept_s_ago": swept_s,
    }


def _age_s(instant: datetime | None) -> int | None:
    return None if instant is None else int((clock.now() - instant).total_seconds())
