"""Versions as in Semantic Versioning 2.0.0, section 11, where minor and patch may be left out.

``1`` is ``1.0.0`` and ``2.1-rc.1`` is ``2.1.0-rc.1``. Build metadata does not count. A leading
``v``, leading zeros and empty identifiers are not versions.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TypeAlias

Precedence: TypeAlias = tuple[object, ...]
"""Compares as the versions do; only the order has a meaning."""

_NUMBER = r"(0|[1-9][0-9]*)"
_IDENTIFIER = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION = re.compile(
    rf"{_NUMBER}(?:\.{_NUMBER})?(?:\.{_NUMBER})?"
    rf"(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
MAX_LENGTH = 256
"""Of a text that can be a version."""


def precedence(version: str) -> Precedence | None:
    """The place of a version in the order of versions; None where the text is not one."""
    # Asked before the cache, which would otherwise keep whatever strangers send, however long.
    return precedence_of_short(version) if len(version) <= MAX_LENGTH else None


@lru_cache(maxsize=4096)
def precedence_of_short(version: str) -> Precedence | None:
    """The same for a text of at most :data:`MAX_LENGTH`; it remembers the last few thousand."""
    match = _VERSION.fullmatch(version)
    if match is None:
        return None
    major, minor, patch, prerelease = match.groups()
    release = (int(major), int(minor or 0), int(patch or 0))
    return (*release, prerelease is None, _identifiers(prerelease))


def _identifiers(prerelease: str | None) -> tuple[tuple[bool, int, str], ...]:
    """Numbers come before words, and among themselves by size; words by ASCII."""
    if prerelease is None:
        return ()
    return tuple(
        (False, int(part), "") if part.isdigit() else (True, 0, part)
        for part in prerelease.split(".")
    )
