"""Addresses of our pages as readers see the portal, where no request is there to know them: in mails and commands."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import current_app

from clinic_portal.config import Config


def address_of(endpoint: str, **values: Any) -> str:
    """The whole address of one page."""
    config: Config = current_app.config["PORTAL"]
    parts = urlsplit(config.base_url)
    routes = current_app.url_map.bind(parts.netloc, script_name=parts.path or "/", url_scheme=parts.scheme)
    return routes.build(endpoint, values, force_external=True)
