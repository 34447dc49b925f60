"""What all stored payloads share."""

from __future__ import annotations

from typing import ClassVar

import msgspec

HASHES = ("sha256",)
"""Fields of events and rows that hold hashes of secrets: to look a secret up by, not to show."""


class Stored(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    forbid_unknown_fields=True,
):
    """The base of every payload. The type's name in the log is the class's name."""

    schema_version: ClassVar[int] = 1
    critical: ClassVar[bool] = True

    comment: str = ""
    """Why, in the words of whoever asked for it."""
