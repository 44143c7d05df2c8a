"""Between the domain and HTTP: pages and fragments, refusals, headers, request ids. Only it knows statuses."""

from __future__ import annotations

from flask import Flask

from clinic_portal.config import Config
from clinic_portal.web import assets, errors, forgery, headers, language, pages, requests
from clinic_portal.web.forgery import is_one_click, takes_one_click
from clinic_portal.web.headers import without_referrer
from clinic_portal.web.pages import NavItem, page, see_other

__all__ = ["NavItem", "install", "is_one_click", "page", "see_other", "takes_one_click", "without_referrer"]

# The longest form is one of the back office's; nothing is uploaded.
MAX_FORM_BYTES = 256 * 1024


def install(app: Flask, config: Config, nav: tuple[NavItem, ...]) -> None:
    """Make the application answer the way all our pages do."""
    app.config["MAX_CONTENT_LENGTH"] = MAX_FORM_BYTES
    requests.install(app)
    language.install(app)
    forgery.install(app, config)
    pages.install(app, nav)
    assets.install(app)
    headers.install(app, config)
    errors.install(app)
