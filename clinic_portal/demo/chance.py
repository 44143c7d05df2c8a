"""Chance that falls the same way every time, and ids drawn from it."""

from __future__ import annotations

import base64
import random


def chance(part: str) -> random.Random:
    """A source of chance for one part of the demo clinic, the same in every run."""
    return random.Random(f"demo clinic: {part}")


def public_id(rng: random.Random) -> str:
    """An id for addresses in the form of the real ones; can be guessed, which made-up people can bear."""
    return base64.urlsafe_b64encode(rng.randbytes(12)).decode()
