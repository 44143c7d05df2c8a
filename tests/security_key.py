"""A security key in software: makes passkeys and answers with them, as a browser would hand it on."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import bytes_to_base64url

PRESENT, VERIFIED, NEW = 0x01, 0x04, 0x40


@dataclass
class SecurityKey:
    """One key with one passkey; `verifies` says whether it asks for a finger or a PIN."""

    origin: str = "http://localhost"
    verifies: bool = True
    raw_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    private: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    count: int = 0

    def make(self, options: str) -> str:
        """The answer to a page that asks for a new passkey."""
        asked = json.loads(options)
        numbers = self.private.public_key().public_numbers()
        public = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)})
        made = bytes(16) + len(self.raw_id).to_bytes(2) + self.raw_id + public
        told = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": self._data(asked["rp"]["id"], NEW) + made})
        client = self._client("webauthn.create", asked["challenge"])
        return self._answer({"clientDataJSON": client, "attestationObject": told})

    def use(self, options: str) -> str:
        """The answer to a page that asks for a passkey."""
        asked = json.loads(options)
        self.count += 1
        client, data = self._client("webauthn.get", asked["challenge"]), self._data(asked["rpId"], 0)
        signature = self.private.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        return self._answer({"clientDataJSON": client, "authenticatorData": data, "signature": signature})

    def _data(self, rp_id: str, more: int) -> bytes:
        flags = PRESENT | more | (VERIFIED if self.verifies else 0)
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4)

    def _client(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin}).encode()

    def _answer(self, response: dict[str, bytes]) -> str:
        raw_id = bytes_to_base64url(self.raw_id)
        told: dict[str, Any] = {name: bytes_to_base64url(value) for name, value in response.items()}
        return json.dumps({"id": raw_id, "rawId": raw_id, "type": "public-key", "response": told,
                           "clientExtensionResults": {}})  # fmt: skip
