"""The web server: granian, a few processes of one thread each."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

from clinic_portal.config import Config
from clinic_portal.supervisor import lifeline
from clinic_portal.supervisor.warming import warm_up

DRAIN_S = 6


def serve(config: Config) -> None:
    """Serve pages until told to stop; requests under way are finished first."""
    lifeline.hold()
    server = Granian(
        "clinic_portal:create_app",
        address=config.host,
        port=config.port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        workers=config.web_processes,
        # Beside SQLite a second thread in a process made answers slower and erratic.
        blocking_threads=1,
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=DRAIN_S,
        log_level=LogLevels.warning,
        # An access log would keep who looked at what: addresses and links are personal data here.
        log_access=False,
    )
    server.serve(target_loader=partial(_load_app, os.getpid()), wrap_loader=False)


def _load_app(server_pid: int) -> Any:
    """Runs in each web process: hold to the server, so that none keeps the port when that is killed; and get ready."""
    from clinic_portal import create_app

    lifeline.hold_to(server_pid)
    app = create_app()
    warm_up(app)
    return app
