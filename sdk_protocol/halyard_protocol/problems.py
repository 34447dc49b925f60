"""What is wrong with a part of a command, and the checks that many parts share.

A check answers with problems, none where all is well; it never raises. Each takes the JSON pointer
of what it looks at first, so that a problem names the field in the caller's own document.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Container, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

import msgspec

from halyard_protocol.context import MULTI
from halyard_protocol.limits import (
    MAX_ATTRIBUTE_LENGTH,
    MAX_CONTEXT_KEY_LENGTH,
    MAX_KEY_LENGTH,
)
from halyard_protocol.ruleset import TOTAL_WEIGHT

KEY_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_BAD_ESCAPE = re.compile(r"~(?![01])")


class Problem(msgspec.Struct, frozen=True):
    """One fault: a JSON pointer to the field, and a reason that tells what to do about it."""

    path: str
    reason: str


Problems: TypeAlias = Iterator[Problem]
"""What checks yield; the public ones of :mod:`halyard_protocol.validation` answer tuples."""


def key_problems(path: str, key: str) -> Problems:
    """A key: 1 to 100 of letters, digits, '.', '_' and '-', the first a letter or digit."""
    if len(key) > MAX_KEY_LENGTH:
        yield Problem(path, f"a key has at most {MAX_KEY_LENGTH} characters, not {len(key)}")
    elif not KEY_PATTERN.fullmatch(key):
        yield Problem(
            path,
            f"'{key}' is no key: use letters, digits, '.', '_' and '-', "
            "beginning with a letter or a digit",
        )


def text_problems(path: str, text: str, limit: int) -> Problems:
    """Words for people: any, up to a length."""
    if len(text) > limit:
        yield Problem(path, f"has at most {limit} characters, not {len(text)}")
    if "\0" in text:
        yield Problem(path, "holds a null character: remove it")


def kind_problems(path: str, kind: str) -> Problems:
    """A context kind."""
    if not kind:
        yield Problem(path, "name a context kind, such as 'user' or 'organization'")
    elif kind == MULTI:
        yield Problem(path, "'multi' is no kind of its own: name the one that is meant")
    yield from text_problems(path, kind, MAX_ATTRIBUTE_LENGTH)


def attribute_problems(path: str, attribute: str) -> Problems:
    """An attribute's name, or its path where it begins with '/'."""
    if not attribute:
        yield Problem(path, "name an attribute, such as 'country' or '/address/city'")
    elif attribute in ("kind", "/kind"):
        yield Problem(path, "'kind' is no attribute: say it in the field 'kind'")
    elif attribute.startswith("/"):
        if "" in attribute.split("/")[1:]:
            yield Problem(path, f"'{attribute}' has an empty step: write a path as '/address/city'")
        if _BAD_ESCAPE.search(attribute):
            yield Problem(path, "in a path, write '~0' for '~' and '~1' for '/'")
    yield from text_problems(path, attribute, MAX_ATTRIBUTE_LENGTH)


def context_keys_problems(path: str, keys: Iterable[str]) -> Problems:
    """Keys of contexts, as listed in targets and segments."""
    for index, key in enumerate(keys):
        if not key:
            yield Problem(f"{path}/{index}", "a key has at least one character: remove this one")
        yield from text_problems(f"{path}/{index}", key, MAX_CONTEXT_KEY_LENGTH)
    yield from repeat_problems(path, keys, "key")


def repeat_problems(path: str, values: Iterable[str], what: str, field: str = "") -> Problems:
    """No value twice; ``field`` is where in each item the value stands."""
    seen: set[str] = set()
    for index, value in enumerate(values):
        if value in seen:
            yield Problem(f"{path}/{index}{field}", f"{what} '{value}' is there twice: remove one")
        seen.add(value)


def count_problems(path: str, items: Sequence[object], limit: int, what: str) -> Problems:
    """Not more than ``limit`` of something."""
    if len(items) > limit:
        yield Problem(path, f"at most {limit} {what}, not {len(items)}")


def weight_problems(path: str, weight: int) -> Problems:
    """A weight in 1/100,000."""
    if not 0 <= weight <= TOTAL_WEIGHT:
        yield Problem(
            path, f"a weight is from 0 to {TOTAL_WEIGHT} (in 1/{TOTAL_WEIGHT}), not {weight}"
        )


def instant_problems(path: str, instant: datetime | None) -> Problems:
    """An instant with an offset from UTC that UTC can write, or none at all."""
    if instant is None:
        return
    if instant.tzinfo is None:
        yield Problem(path, "an instant has an offset: end it with 'Z' for UTC")
        return
    try:
        instant.astimezone(UTC)
    except OverflowError:
        yield Problem(path, "an instant lies in the years 1 to 9999 of UTC")


def variation_key_problems(path: str, key: str, known: Iterable[str]) -> Problems:
    """The key of a variation that the flag has."""
    if key not in (keys := tuple(known)):
        yield Problem(path, f"there is no variation '{key}'{hint(key, keys)}")


def segment_key_problems(path: str, key: str, known: Container[str]) -> Problems:
    """The key of a segment that the project has."""
    if key not in known:
        keys = known if isinstance(known, Iterable) else ()
        yield Problem(path, f"there is no segment '{key}'{hint(key, keys)}: create it first")


def hint(word: str, known: Iterable[str]) -> str:
    """A nearby word to append to a sentence, or nothing."""
    close = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""
