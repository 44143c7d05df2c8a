"""Who signs in, and what they may reach: Flask-Security on our tables, and fetchers that only find what is one's own."""

from __future__ import annotations

from flask import Flask
from flask_security import Security, SQLAlchemyUserDatastore

from clinic_portal.config import Config
from clinic_portal.database import db
from clinic_portal.models import Account, Role

datastore = SQLAlchemyUserDatastore(db, Account, Role)


def install(app: Flask, config: Config) -> None:
    """Set Flask-Security up: sign in and out only; passwords with argon2."""
    app.config.update(
        SECRET_KEY=config.secret_key,
        SECURITY_PASSWORD_SALT=config.password_salt,
        SECURITY_PASSWORD_HASH="argon2",
        SECURITY_REGISTERABLE=False,
        SECURITY_SEND_REGISTER_EMAIL=False,
        SECURITY_TRACKABLE=False,
    )
    Security(app, datastore)
