"""The clinic portal. `create_app` wires it from top to bottom; it is the only place that sees everything."""

from __future__ import annotations

from pathlib import Path

from flask import Flask
from flask_migrate import Migrate

from clinic_portal import accounts, database, queues
from clinic_portal.config import Config, load_config
from clinic_portal.database import db

ROOT = Path(__file__).resolve().parent


def create_app(config: Config | None = None) -> Flask:
    """Build the portal from its deployment settings.

    Raises: ConfigError naming the setting that is missing or wrong.
    """
    config = config or load_config()
    app = Flask(__name__)
    app.config["PORTAL"] = config
    _connect_database(app, config)
    queues.install(app, config.queue_url)
    accounts.install(app, config)
    return app


def _connect_database(app: Flask, config: Config) -> None:
    config.data_dir.mkdir(parents=True, exist_ok=True)
    app.config["SQLALCHEMY_DATABASE_URI"] = config.database_url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {} if config.is_sqlite else {"pool_pre_ping": True, "pool_size": 5}
    db.init_app(app)
    Migrate(app, db, directory=str(ROOT / "migrations"), render_as_batch=True)
    with app.app_context():
        database.install(db.engine)
