"""Hours, as doctors set their own and staff set everybody's: the week, time off, extra hours, closed days."""

from __future__ import annotations

from flask import Flask

from clinic_portal.rota import away, blocks, closures, copying, overview, wishes
from clinic_portal.rota.blueprint import blueprint

__all__ = ["install"]

# Views register themselves when their modules are read.
VIEWS = (overview, blocks, copying, away, closures, wishes)


def install(app: Flask) -> None:
    """Add the pages of hours to the portal."""
    app.register_blueprint(blueprint)
