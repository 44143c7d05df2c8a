"""The blueprint of the pages on which hours are set."""

from __future__ import annotations

from flask import Blueprint

blueprint = Blueprint("rota", __name__, url_prefix="/hours")
