"""A page of Flask and nothing else, served like the portal: `python -m tests.bench.bare PORT`."""

from __future__ import annotations

import sys

from flask import Flask
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

from clinic_portal.supervisor import lifeline

PROCESSES = 2


def make() -> Flask:
    """An application of one page."""
    app = Flask("bare")
    app.add_url_rule("/", "home", lambda: "Hello")
    return app


if __name__ == "__main__":
    lifeline.hold()
    Granian(
        "tests.bench.bare:make", address="127.0.0.1", port=int(sys.argv[1]), interface=Interfaces.WSGI, factory=True,
        http=HTTPModes.http1, workers=PROCESSES, blocking_threads=1, websockets=False, log_level=LogLevels.warning,
        log_access=False,
    ).serve()  # fmt: skip
