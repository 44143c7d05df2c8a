"""The way in: open an account, confirm it, sign in, stay signed in, and look after one's account."""

from __future__ import annotations

from flask import Flask

from clinic_portal.entrance import (
    account,
    feeds,
    forgetting,
    language,
    linking,
    presence,
    refilling,
    registering,
    second_factor,
    second_step,
    sign_in,
    sign_ins,
)
from clinic_portal.entrance.blueprint import blueprint

__all__ = ["install"]

# Views register themselves when their modules are read.
VIEWS = (registering, forgetting, account, linking, language, second_step, second_factor, sign_ins, feeds)


def install(app: Flask) -> None:
    """Add these pages to the portal, count the tries to sign in, and judge who still is signed in."""
    app.register_blueprint(blueprint)
    presence.install(app)
    refilling.install(app)
    sign_in.install(app)
