"""Which browser it is, by names that its owner knows. A guess from what it says of itself, good for a list."""

from __future__ import annotations

# In this order: each browser also names those that it wants to be treated like.
NAMES = (("Edg", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser", "Samsung Internet"), ("Firefox", "Firefox"),
         ("FxiOS", "Firefox"), ("CriOS", "Chrome"), ("Chrome", "Chrome"), ("Safari", "Safari"))  # fmt: skip
MACHINES = (("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"),
            ("CrOS", "Chromebook"), ("Macintosh", "Mac"), ("Linux", "Linux"))  # fmt: skip


def browser_words(user_agent: str | None) -> str:
    """For example "Firefox, Windows"; nothing when it is not known. The same in every language."""
    found = (_first(NAMES, user_agent), _first(MACHINES, user_agent))
    return ", ".join(name for name in found if name)


def _first(known: tuple[tuple[str, str], ...], user_agent: str | None) -> str | None:
    return next((words for mark, words in known if mark in (user_agent or "")), None)
