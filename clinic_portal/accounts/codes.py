"""Codes that people copy from paper or screen: made so that no letter can be taken for another."""

from __future__ import annotations

import secrets

# Nothing in it looks or sounds like another: no 0 O, 1 I L, 5 S, 2 Z, 8 B, U V.
ALPHABET = "34679ACDEFGHJKMNPQRTWXY"
LENGTH = 10


def new_code() -> str:
    """A code that cannot be guessed (45 bits), without the dash that people see."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def shown(code: str) -> str:
    """The code as people see it: "QWE4R-7TYAD"."""
    return f"{code[: LENGTH // 2]}-{code[LENGTH // 2 :]}"


def plain(typed: str) -> str:
    """The code behind what somebody typed, in any letters, with or without dashes and spaces."""
    return "".join(letter for letter in typed.upper() if letter.isalnum())
