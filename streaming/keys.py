"""SDK keys as clients present them: ``<environment id>-s-<secret>``, or ``-c-`` for client keys."""

from __future__ import annotations

import hashlib
import re
from typing import Literal

import msgspec

_KEY = re.compile(r"([a-z0-9]{12})-([sc])-[\x21-\x7e]{1,200}")
_ENVIRONMENT_LENGTH = 12


class SdkKey(msgspec.Struct, frozen=True):
    """A key that has the form of one; whether it is live, only the ruleset knows."""

    environment: str
    """The environment's opaque id."""
    kind: Literal["server", "client"]
    document_key: str
    """Where the ruleset has it: by the SHA-256 of a server key, by a client key itself."""


def environment_of(presented: str) -> str:
    """The id of the environment that a key belongs to, where it is a key."""
    return presented[:_ENVIRONMENT_LENGTH]


def read_key(presented: str) -> SdkKey | None:
    """Read what a client presented; None where it cannot be a key."""
    found = _KEY.fullmatch(presented)
    if found is None:
        return None
    environment, kind = found.groups()
    if kind == "c":
        return SdkKey(environment, "client", f"key:{presented}")
    digest = hashlib.sha256(presented.encode()).hexdigest()
    return SdkKey(environment, "server", f"key:{digest}")
