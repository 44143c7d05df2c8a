"""Each request has an id, and one line in the log that says what happened and nothing about whom."""

from __future__ import annotations

import json
import logging
import secrets
import sys
import time
from typing import Any

from flask import Flask, Response, g, request

from clinic_portal import audit, clock

LOG = logging.getLogger("clinic_portal.web")


class JsonLines(logging.Formatter):
    """One JSON object a line: the event and the facts that were given with it, never an address or a query."""

    def format(self, record: logging.LogRecord) -> str:
        facts: dict[str, Any] = getattr(record, "facts", {})
        line = {"at": clock.now().isoformat(timespec="milliseconds"), "level": record.levelname.lower()}
        return json.dumps({**line, "event": record.getMessage(), **facts})


def install(app: Flask) -> None:
    """Number the requests and log them."""
    if not LOG.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonLines())
        LOG.addHandler(handler)
        LOG.setLevel(logging.INFO)
        LOG.propagate = False
    app.before_request(_begin)
    app.after_request(_end)


def log(level: int, event: str, **facts: Any) -> None:
    """Write one line about the present request. Facts are codes, counts and ids: never names, reasons or addresses."""
    LOG.log(level, event, extra={"facts": {**_about_request(), **facts}})


def _begin() -> None:
    g.started = time.perf_counter()
    # Our own, whatever the browser sends: it goes into the log and the audit trail.
    audit.request_id.set(secrets.token_hex(6))


def _end(response: Response) -> Response:
    request_id = audit.request_id.get()
    if request_id is not None:
        response.headers["X-Request-ID"] = request_id
    if request.endpoint != "static":
        ms = round((time.perf_counter() - g.started) * 1000, 1) if "started" in g else None
        log(logging.INFO, "request", status=response.status_code, ms=ms)
    return response


def _about_request() -> dict[str, Any]:
    # The pattern, not the path: links to appointments are personal data.
    route = request.url_rule.rule if request.url_rule else None
    return {"request_id": audit.request_id.get(), "method": request.method, "route": route}
