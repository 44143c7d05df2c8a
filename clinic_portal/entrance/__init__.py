"""The way in: open an account, confirm it, get a forgotten password back, use a code, look after one's account."""

from __future__ import annotations

from flask import Flask

from clinic_portal.entrance import account, forgetting, language, linking, registering, sign_in
from clinic_portal.entrance.blueprint import blueprint

__all__ = ["install"]

# Views register themselves when their modules are read.
VIEWS = (registering, forgetting, account, linking, language)


def install(app: Flask) -> None:
    """Add these pages to the portal, and count the tries to sign in."""
    app.register_blueprint(blueprint)
    sign_in.install(app)
