"""The blueprint of these pages, the tries that they count, and the page for links that no longer work."""

from __future__ import annotations

from flask import Blueprint, Response, request

from clinic_portal.accounts import throttle
from clinic_portal.errors import LinkExpired
from clinic_portal.web import page

blueprint = Blueprint("entrance", __name__)


def take_try(kind: throttle.Kind, who: str) -> None:
    """Count a try of whoever sent the present request.

    Raises: TooManyTries.
    """
    throttle.take_try(kind, who=who, network=throttle.network_of(request.remote_addr))


def give_back(kind: throttle.Kind, who: str) -> None:
    """It was right: forget the tries."""
    throttle.give_back(kind, who=who, network=throttle.network_of(request.remote_addr))


@blueprint.errorhandler(LinkExpired)
def _old_link(_error: LinkExpired) -> Response:
    return page("entrance/old_link.html", status=410)
