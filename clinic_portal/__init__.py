"""The clinic portal. `create_app` wires it from top to bottom; it is the only place that sees everything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask
from flask_migrate import Migrate
from werkzeug.middleware.proxy_fix import ProxyFix

from clinic_portal import (
    accounts,
    backoffice,
    database,
    demo,
    doctor,
    entrance,
    health,
    mails,
    patient,
    queues,
    rota,
    web,
)
from clinic_portal.config import DEMO, Config, load_config
from clinic_portal.database import db
from clinic_portal.languages import N_
from clinic_portal.models import RoleName
from clinic_portal.web.assets import folder

ROOT = Path(__file__).resolve().parent

PATIENT, PRACTITIONER = frozenset({RoleName.PATIENT}), frozenset({RoleName.PRACTITIONER})
NAV = (
    web.NavItem(N_("Book"), "patient.who", PATIENT),
    web.NavItem(N_("Appointments"), "patient.appointments", PATIENT),
    web.NavItem(N_("Profile"), "patient.profile", PATIENT),
    web.NavItem(N_("Your day"), "doctor.day", PRACTITIONER),
    web.NavItem(N_("Hours"), "rota.everybody", PRACTITIONER),
    web.NavItem("Back office", "backoffice.index", frozenset(accounts.STAFF)),
    # Patients find it in their profile and under every page: five entries would need two lines on a phone.
    web.NavItem(N_("Account"), "entrance.account", frozenset(RoleName) - PATIENT),
    web.NavItem(N_("Sign in"), "security.login"),
)


def create_app(config: Config | None = None) -> Flask:
    """Build the portal from its deployment settings.

    Raises: ConfigError naming the setting that is missing or wrong.
    """
    config = config or load_config()
    app = Flask(
        __name__,
        template_folder=str(folder("templates")),
        static_folder=str(folder("static") / "dist"),
        static_url_path="/static/dist",
    )
    app.config["PORTAL"] = config
    # Who is asking: the proxies in front know it, and nobody else is believed.
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=config.proxy_count, x_proto=0)  # type: ignore[method-assign]
    _connect_database(app, config)
    queues.install(app, config.queue_url)
    web.install(app, config, NAV)
    accounts.install(app, config)
    _open_doors(app, config)
    return app


def _open_doors(app: Flask, config: Config) -> None:
    health.install(app, config)
    entrance.install(app)
    patient.install(app)
    doctor.install(app)
    rota.install(app)
    backoffice.install(app)
    mails.install(app, config)
    if config.environment == DEMO:
        accounts.show_sign_ins(app, demo.sign_ins)


def _connect_database(app: Flask, config: Config) -> None:
    config.data_dir.mkdir(parents=True, exist_ok=True)
    app.config["SQLALCHEMY_DATABASE_URI"] = config.database_url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = _engine_options(config)
    db.init_app(app)
    Migrate(app, db, directory=str(ROOT / "migrations"), render_as_batch=True)
    with app.app_context():
        database.install(db.engine)


def _engine_options(config: Config) -> dict[str, Any]:
    # Values in the text of a database error would be names and addresses in the log.
    # The connection used last is used first: what is kept with it stays at hand.
    options: dict[str, Any] = {"hide_parameters": True, "pool_use_lifo": True}
    if not config.is_sqlite:
        options |= {"pool_size": 5}
    return options
