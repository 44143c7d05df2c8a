"""Which browser it is, in words that its owner knows it by. A guess from what it says of itself, good for a list."""

from __future__ import annotations

# In this order: each browser also names those that it wants to be treated like.
NAMES = (("Edg", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser", "Samsung Internet"), ("Firefox", "Firefox"),
         ("FxiOS", "Firefox"), ("CriOS", "Chrome"), ("Chrome", "Chrome"), ("Safari", "Safari"))  # fmt: skip
MACHINES = (("iPhone", "an iPhone"), ("iPad", "an iPad"), ("Android", "Android"), ("Windows", "Windows"),
            ("CrOS", "a Chromebook"), ("Macintosh", "a Mac"), ("Linux", "Linux"))  # fmt: skip


def browser_words(user_agent: str | None) -> str:
    """For example "Firefox on Windows"."""
    name = _first(NAMES, user_agent) or "Another browser"
    machine = _first(MACHINES, user_agent)
    return f"{name} on {machine}" if machine else name


def _first(known: tuple[tuple[str, str], ...], user_agent: str | None) -> str | None:
    return next((words for mark, words in known if mark in (user_agent or "")), None)
