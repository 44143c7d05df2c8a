"""How a name, and a phone number, is kept for searching."""

from __future__ import annotations

import re
import unicodedata

_NOT_DECOMPOSED = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})


def fold(name: str) -> str:
    """A name in plain lower-case letters: "Müller-Østby" and "muller ostby" are found by the same words."""
    letters = name.casefold().translate(_NOT_DECOMPOSED)
    letters = "".join(c for c in unicodedata.normalize("NFKD", letters) if not unicodedata.combining(c))
    return " ".join(re.sub(r"[^\w]+", " ", letters.replace("'", "").replace("’", "")).split())


def reversed_digits(number: str) -> str:
    """The digits of a phone number from its end: its tail is then a beginning, which an index finds."""
    return "".join(digit for digit in reversed(number) if digit.isascii() and digit.isdecimal())[:20]
