"""The first page: open to everybody; to who is signed in it also says what waits for them."""

from __future__ import annotations

from flask import Response
from flask_login import current_user

from clinic_portal.accounts import signed_in_account
from clinic_portal.patient.blueprint import blueprint
from clinic_portal.patient.invited import invited_cards
from clinic_portal.patient.waiting import waiting_now
from clinic_portal.web import page


@blueprint.get("/")
def home() -> Response:
    """What one can do here."""
    account = signed_in_account() if current_user.is_authenticated else None
    return page(
        "patient/home.html",
        invited=invited_cards(account) if account else [],
        waiting=waiting_now(account) if account else None,
    )
