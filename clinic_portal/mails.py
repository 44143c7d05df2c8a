"""Mails that were kept on this machine instead of being sent, to look at. There is no such page in production."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Flask, Response, current_app, url_for

from clinic_portal.config import Config
from clinic_portal.errors import NotFound
from clinic_portal.notifications.captured import list_captured, read_captured
from clinic_portal.web import page

blueprint = Blueprint("mails", __name__, url_prefix="/mails")

# A mail brings its own styles; it may do nothing else here, whatever is in it.
MAIL_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"


def install(app: Flask, config: Config) -> None:
    """Show kept mails, where mails are kept and nobody real reads them."""
    if config.captures_mail and not config.is_production:
        app.register_blueprint(blueprint)


@blueprint.get("/")
def index() -> Response:
    """All kept mails, newest first."""
    return page("shared/mails.html", mails=list_captured(_folder()), zone="UTC")


@blueprint.get("/<mail_id>")
def show(mail_id: str) -> Response:
    """One mail, as plain text."""
    mail = read_captured(_folder(), mail_id)
    return page("shared/mail.html", mail=mail, zone="UTC", back_url=url_for("mails.index"))


@blueprint.get("/<mail_id>/html")
def html(mail_id: str) -> Response:
    """One mail as its reader sees it: an answer of its own, in which nothing can run."""
    found = read_captured(_folder(), mail_id).html
    if found is None:
        raise NotFound
    return Response(found, mimetype="text/html", headers={"Content-Security-Policy": MAIL_POLICY})


@blueprint.get("/<mail_id>/calendar.ics")
def calendar(mail_id: str) -> Response:
    """The calendar part of one mail."""
    found = read_captured(_folder(), mail_id).ics
    if found is None:
        raise NotFound
    headers = {"Content-Disposition": 'attachment; filename="appointment.ics"'}
    return Response(found, mimetype="text/calendar", headers=headers)


@blueprint.get("/<mail_id>/raw")
def raw(mail_id: str) -> Response:
    """One mail as it would have been sent."""
    return Response(read_captured(_folder(), mail_id).raw, mimetype="text/plain")


def _folder() -> Path:
    config: Config = current_app.config["PORTAL"]
    return config.mail_dir
