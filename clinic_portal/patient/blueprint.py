"""The blueprint that all patient pages belong to."""

from __future__ import annotations

from flask import Blueprint

blueprint = Blueprint("patient", __name__)
