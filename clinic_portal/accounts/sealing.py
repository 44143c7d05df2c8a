"""Text that the database keeps and cannot read: sealed with keys that come from the portal's secret."""

from __future__ import annotations

import base64
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from flask import current_app

from clinic_portal.config import Config


def seal(text: str, purpose: str) -> str:
    """The text as only this portal can read it, and only for this purpose."""
    return _box(purpose).encrypt(text.encode()).decode()


def unseal(sealed: str, purpose: str) -> str | None:
    """The text again; None when it was changed, is for something else, or was sealed with another secret."""
    try:
        return _box(purpose).decrypt(sealed).decode()
    except (InvalidToken, ValueError):
        # The library decodes letters first, and says ValueError to those that no sealed text has.
        return None


def _box(purpose: str) -> Fernet:
    config: Config = current_app.config["PORTAL"]
    return _fernet(config.secret_key, purpose)


@lru_cache(maxsize=16)
def _fernet(secret_key: str, purpose: str) -> Fernet:
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(secret_key.encode())
    return Fernet(base64.urlsafe_b64encode(key))
