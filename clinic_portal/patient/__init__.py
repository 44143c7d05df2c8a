"""The patients' pages: book, see, move and cancel. Each view reads input, calls one service, and renders."""

from __future__ import annotations

from flask import Flask

from clinic_portal.patient import (
    asking,
    booking,
    checking,
    earlier,
    emergency,
    home,
    mail_language,
    mail_links,
    modes,
    moving,
    needs,
    offers,
    own_record,
    people,
    privacy,
    profile,
    questions,
    reading,
    refusals,
    requests,
    sending,
    visits,
    waiting,
)
from clinic_portal.patient.blueprint import blueprint

__all__ = ["install"]

# Views register themselves when their modules are read.
VIEWS = (
    home, questions, needs, emergency, modes, booking, checking, moving, visits, asking, sending, requests, waiting,
    offers, earlier, refusals, profile, mail_language, people, own_record, privacy, mail_links,
)  # fmt: skip


def install(app: Flask) -> None:
    """Add the patients' pages to the portal."""
    app.jinja_env.filters["instant_code"] = reading.write_instant
    app.register_blueprint(blueprint)
