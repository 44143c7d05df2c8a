"""Whether this process lives, and whether the portal can do its work: for whoever supervises it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint, Flask, Response, current_app, jsonify, request
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from clinic_portal import clock, jobs
from clinic_portal.config import Config
from clinic_portal.database import database_answers, db
from clinic_portal.notifications.delivery import oldest_due_at
from clinic_portal.scheduling import due
from clinic_portal.settings import missing_settings

blueprint = Blueprint("health", __name__)

# The sweeper looks around every few seconds; a minute of silence means that it is gone.
SWEEP_LATE_S = 60


def install(app: Flask, config: Config) -> None:
    """Answer those who watch; and in production serve no page that tells patients a made-up number to call."""
    app.register_blueprint(blueprint)
    if config.is_production:
        app.before_request(_Unset())


class _Unset:
    """Refuses pages until the clinic has set what patients rely on; once it has, nothing is asked any more."""

    is_over = False

    def __call__(self) -> Response | None:
        if self.is_over or request.blueprint == blueprint.name or request.endpoint == "static":
            return None
        if missing := missing_settings(db.session()):
            return Response(unset_words(missing) + "\n", 503, mimetype="text/plain")
        self.is_over = True
        return None


def unset_words(missing: list[str]) -> str:
    """What must be done before patients may see the portal."""
    return f"The clinic must first set {', '.join(missing)}: clinic-portal set NAME VALUE."


@blueprint.get("/healthz")
def alive() -> Response:
    """This process answers."""
    return jsonify(status="alive")


@blueprint.get("/readyz")
def ready() -> tuple[Response, int]:
    """The database answers and the clinic is set up; and how late messages and the sweeper are.

    Lateness keeps no page from working, so it is told and nothing more.
    """
    try:
        facts = _facts(db.session())
    except DBAPIError:
        return jsonify(status="not ready", database="no answer"), 503
    missing = missing_settings(db.session()) if _config().is_production else []
    if missing:
        return jsonify(status="not ready", database="answers", settings=unset_words(missing), **facts), 503
    return jsonify(status="ready", database="answers", **facts), 200


def _config() -> Config:
    config: Config = current_app.config["PORTAL"]
    return config


def _facts(session: Session) -> dict[str, Any]:
    database_answers(session)
    swept_s = _age_s(jobs.last_sweep_at(session))
    return {
        "oldest_unsent_message_s": _age_s(oldest_due_at(session)) or 0,
        "oldest_unserved_request_s": _age_s(due.oldest_due_at(session, clock.now())) or 0,
        "sweeper": "never seen" if swept_s is None else "late" if swept_s > SWEEP_LATE_S else "on time",
        "swept_s_ago": swept_s,
    }


def _age_s(instant: datetime | None) -> int | None:
    return None if instant is None else int((clock.now() - instant).total_seconds())
