"""The blueprint of the doctors' pages."""

from __future__ import annotations

from flask import Blueprint

blueprint = Blueprint("doctor", __name__, url_prefix="/doctor")
