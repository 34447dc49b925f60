"""The floor: the flag as somebody would write it by hand, who knew it would never change.

It answers the value, the variation and the rule, prepared where nothing is computed, and with a
bucket by Halyard's formula. It looks at no clock and checks no type, so nothing general can be as
quick.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha1
from typing import Any

from benchmarks.evaluate.question import (
    COUNTRIES,
    EARLY_ADOPTERS,
    KEY,
    OLD_VERSION,
    SALT,
    SHARE,
    Attributes,
)

NAME = None

_COUNTRIES = frozenset(COUNTRIES)
_EARLY_ADOPTERS = frozenset(EARLY_ADOPTERS)
_EXPRESS = ("express", "express", 0, None)
_GUIDED = ("guided", "guided", 1, None)
_OTHERWISE = ("classic", "classic", None, None)
_PREFIX = f"{KEY}.{SALT}."


def checkout(attributes: Attributes) -> tuple[str, str, int | None, float | None]:
    """The value, the variation, the rule and the bucket."""
    if attributes["country"] in _COUNTRIES and attributes["plan"] == "premium":
        return _EXPRESS
    key = attributes["key"]
    if key in _EARLY_ADOPTERS:
        return _GUIDED
    if _precedence(attributes["appVersion"]) > _OLD_VERSION:
        digest = sha1((_PREFIX + key).encode()).hexdigest()
        bucket = int(digest[:15], 16) / 0xFFFFFFFFFFFFFFF
        value = "new" if bucket < SHARE / 100 else "classic"
        return (value, value, 2, bucket)
    return _OTHERWISE


@lru_cache(maxsize=1_024)
def _precedence(version: str) -> tuple[int, int, int, bool]:
    numbers, _, pre_release = version.partition("-")
    major, minor, patch = numbers.split(".")
    return int(major), int(minor), int(patch), not pre_release


_OLD_VERSION = _precedence(OLD_VERSION)


class HandWritten:
    def prepare(self, attributes: Attributes) -> Attributes:
        return attributes

    def ask(self, contexts: Sequence[Any]) -> None:
        for context in contexts:
            checkout(context)

    def answer(self, context: Any) -> str:
        return checkout(context)[0]


def engine() -> HandWritten:
    return HandWritten()
