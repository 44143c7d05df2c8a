"""What the clinic does not let a patient book online: why, whom to call, and what can be done here instead."""

from __future__ import annotations

import logging
from typing import Any

from flask import Response, request, url_for

from clinic_portal.errors import NotBookableOnline
from clinic_portal.patient.blueprint import blueprint
from clinic_portal.web import page
from clinic_portal.web.errors import status_of
from clinic_portal.web.requests import log
from clinic_portal.wording import say

# Answers that stand although the visit type does not.
KEPT = ("patient", "place", "needs")


@blueprint.errorhandler(NotBookableOnline)
def refused(error: NotBookableOnline) -> Response:
    """The page of a refusal on the way to a booking; the other answers are kept."""
    kept: dict[str, Any] = {name: found for name in KEPT if (found := request.args.getlist(name))}
    return show_not_online(error, url_for("patient.visit_type", **kept))


def show_not_online(error: NotBookableOnline, instead_url: str) -> Response:
    """Say why it cannot be booked here and what to do.

    Args: instead_url, where to choose something else with the other answers kept.
    """
    log(logging.INFO, "refused", code=error.code)
    return page("patient/not_online.html", status=status_of(error), why=say(error), instead_url=instead_url)
