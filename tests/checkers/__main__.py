"""Fetch the checkers: python -m tests.checkers."""

from __future__ import annotations

import sys

from tests.checkers import fetch

sys.exit(0 if fetch() else 1)
