"""The check that it is no emergency: the clinic's own text, read and answered before a visit that may be acute.

The portal shows the text and keeps the answer. It never interprets symptoms.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

# Somebody who comes back to the page after a longer pause is asked again.
VALID_FOR = timedelta(hours=2)
NONE_APPLY = "none_apply"


@dataclass(frozen=True)
class SafetyAnswer:
    """That none of the signs apply: which version of the text was shown, and when it was answered."""

    version: str
    answered_at: datetime

    def stands(self, texts: Iterable[str], now: datetime) -> bool:
        """Whether this answers one of the texts as they are now, one for each language, and lately."""
        is_current = any(self.version == version_of(text) for text in texts)
        return is_current and timedelta(0) <= now - self.answered_at <= VALID_FOR

    def kept(self, texts: Iterable[str]) -> dict[str, Any]:
        """The answer as it is kept with a visit; with what was shown, because texts change."""
        text = next(each for each in texts if self.version == version_of(each))
        return {
            "answer": NONE_APPLY,
            "version": self.version,
            "answered_at": self.answered_at.isoformat(),
            "text": lines_of(text),
        }


def from_kept(kept: dict[str, Any] | None) -> SafetyAnswer | None:
    """The answer behind what was kept."""
    return SafetyAnswer(kept["version"], datetime.fromisoformat(kept["answered_at"])) if kept else None


def lines_of(text: str) -> list[str]:
    """The signs of an emergency, one a line, as the clinic wrote them."""
    return [line for raw in text.splitlines() if (line := raw.strip())]


def version_of(text: str) -> str:
    """A short mark of the text that changes whenever a word of it does."""
    return hashlib.sha256("\n".join(lines_of(text)).encode()).hexdigest()[:12]
