"""A page, or the part of it that the browser asks for; and what every page shows: clinic, navigation, times."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, current_app, g, make_response, redirect, render_template, request, url_for
from flask_htmx import HTMX
from flask_login import current_user
from jinja2 import StrictUndefined
from sqlalchemy.exc import DBAPIError

from clinic_portal import wording
from clinic_portal.database import db
from clinic_portal.languages import _
from clinic_portal.models import RoleName
from clinic_portal.settings import Settings, load_settings
from clinic_portal.web.language import other_languages

htmx = HTMX()

FILTERS = (wording.date_long, wording.date_short, wording.weekday_short, wording.day_month, wording.day_long,
           wording.time_short, wording.day_and_time, wording.time_told)  # fmt: skip


@dataclass(frozen=True)
class NavItem:
    """One entry of the navigation: for accounts with one of these roles, or, without roles, for nobody signed in."""

    text: str
    endpoint: str
    roles: frozenset[RoleName] = frozenset()


@dataclass(frozen=True)
class ClinicFacts:
    """What every page says about the clinic."""

    name: str
    phone: str
    opening_hours: str
    emergency_number: str
    urgent_advice: str


def install(app: Flask, nav: tuple[NavItem, ...]) -> None:
    """Give every template what it needs; a name that nobody gave is an error, never an empty place."""
    htmx.init_app(app)
    app.jinja_env.undefined = StrictUndefined
    for word in FILTERS:
        app.jinja_env.filters[word.__name__] = word
    app.context_processor(lambda: _on_every_page(nav))


def page(template: str, fragment: str | None = None, *, status: int = 200, **context: Any) -> Response:
    """Render a page, or only its fragment when HTMX asks for the part that changes.

    Going back in the browser's history needs the whole page, whoever asks.
    """
    wants_part = bool(htmx) and not htmx.history_restore_request
    if wants_part and fragment is None and request.method == "GET":
        # This is not the page whose part was asked for: let the browser open it, and show it whole.
        response = Response(status=status, headers={"HX-Redirect": own_address()})
    else:
        name = fragment if wants_part and fragment else template
        response = make_response(render_template(name, **context), status)
    response.vary.add("HX-Request")
    return response


def see_other(url: str) -> Response:
    """Send the browser on after a form, so that reloading the next page sends nothing again."""
    return make_response(redirect(url, 303))


def can_be_opened() -> bool:
    """Whether the address to which the present form was sent is also that of a page."""
    routes = current_app.create_url_adapter(request)
    return routes is not None and routes.test(request.path, "GET")


def own_address() -> str:
    """The address of the present page, without the host."""
    return request.full_path.rstrip("?")


def address_to_open() -> str:
    """The address of the present page if it can be opened again, else of the first page."""
    return own_address() if can_be_opened() else url_for("patient.home")


def settings_in_force() -> Settings:
    """The clinic's own settings, read once a request."""
    if "settings" not in g:
        g.settings = load_settings(db.session())
    settings: Settings = g.settings
    return settings


def clinic_facts() -> ClinicFacts:
    """The clinic's name and numbers, read once a request; the defaults when the database does not answer."""
    if "clinic_facts" not in g:
        try:
            g.clinic_facts = _facts_in(settings_in_force())
        except DBAPIError:
            g.clinic_facts = _facts_in(Settings({}, {}))
    facts: ClinicFacts = g.clinic_facts
    return facts


def _facts_in(settings: Settings) -> ClinicFacts:
    return ClinicFacts(
        name=settings.value("clinic_name"),
        phone=settings.value("clinic_phone"),
        opening_hours=settings.text("opening_hours"),
        emergency_number=settings.value("emergency_number"),
        urgent_advice=settings.text("urgent_advice"),
    )


def _on_every_page(nav: Iterable[NavItem]) -> dict[str, Any]:
    return {
        "clinic": clinic_facts(),
        "nav_items": list(_nav_items(nav)),
        "other_languages": other_languages(),
        "own_address": address_to_open(),
    }


def _nav_items(nav: Iterable[NavItem]) -> Iterable[dict[str, Any]]:
    for item in nav:
        if _is_for_reader(item):
            yield {
                "text": _(item.text),
                "href": url_for(item.endpoint),
                "is_current": request.endpoint == item.endpoint,
            }


def _is_for_reader(item: NavItem) -> bool:
    if not current_user.is_authenticated:
        return not item.roles
    return bool(current_user.has_role_name(*item.roles))
