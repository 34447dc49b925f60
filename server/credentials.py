"""Secrets that Halyard makes: SDK keys, API tokens, ids and password hashes.

A secret is returned once to whoever asked for it; what is kept is its SHA-256, which suffices
because each carries 256 bits of randomness. Client keys are public identifiers and kept in clear.
"""

from __future__ import annotations

import hashlib
import secrets
import string
from typing import Literal

from argon2 import PasswordHasher

ID_ALPHABET = string.ascii_lowercase + string.digits
ID_LENGTH = 12
TOKEN_PREFIX = "hly_"  # noqa: S105 - a prefix lets scanners recognise leaked tokens


def new_id() -> str:
    """Twelve characters of a-z and 0-9: 62 bits, never used twice."""
    return "".join(secrets.choice(ID_ALPHABET) for _ in range(ID_LENGTH))


def new_token() -> str:
    """An API token, to be shown once."""
    return TOKEN_PREFIX + secrets.token_hex(32)


def new_sdk_key(environment_id: str, kind: Literal["server", "client"]) -> str:
    """An SDK key: it begins with its environment's id, so that it names where it belongs."""
    if kind == "server":
        return f"{environment_id}-s-{secrets.token_hex(32)}"
    return f"{environment_id}-c-{secrets.token_hex(12)}"


def fingerprint(secret: str) -> str:
    """SHA-256 in hexadecimal: what is stored of a token or a server key."""
    return hashlib.sha256(secret.encode()).hexdigest()


def hash_password(password: str) -> str:
    """Argon2id with the library's current parameters (RFC 9106, low-memory profile)."""
    return PasswordHasher().hash(password)
