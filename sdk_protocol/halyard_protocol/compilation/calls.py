"""What generated lines call by name; nothing else is in their reach."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from functools import lru_cache, partial
from struct import Struct
from typing import Any

from halyard_protocol.bucketing import bucketing_value, is_within, share_at
from halyard_protocol.conditions import Leaf
from halyard_protocol.context import USER, resolve
from halyard_protocol.evaluation import Detail, Reason
from halyard_protocol.instants import before_now, read_instant, time_attributes
from halyard_protocol.operators import OPERATIONS, compare
from halyard_protocol.patterns import search
from halyard_protocol.semver import MAX_LENGTH, precedence_of_short

try:  # quicker for a few bytes than OpenSSL's, which sets up more for each digest
    from _sha1 import sha1  # type: ignore[import-not-found,unused-ignore]
except ImportError:  # a Python built without it
    sha1 = partial(hashlib.sha1, usedforsecurity=False)

SCALE = float(0xFFFFFFFFFFFFFFF)
first_64_bits = Struct(">Q12x").unpack


def number(prefix: bytes, text: str) -> float:
    """The bucketing number of ``text``; ``prefix`` is the key and salt, or the seed, encoded.

    The same as :func:`halyard_protocol.bucketing.bucket`: 15 hexadecimal digits are 60 bits.
    """
    try:
        hashed = prefix + text.encode()
    except UnicodeEncodeError:
        hashed = prefix + text.encode("utf-8", "surrogatepass")
    number: float = (first_64_bits(sha1(hashed).digest())[0] >> 4) / SCALE
    return number


def walk(found: Any, steps: tuple[str, ...]) -> Any:
    """What lies under a path of member names; None where it is missing."""
    for step in steps:
        if found.__class__ is not dict and not isinstance(found, Mapping):
            return None
        found = found.get(step)
    return found


def clock(name: str, zone: str | None, now_ms: int) -> Any:
    """An attribute of the kind ``time`` other than ``now``: no more often new than every second."""
    return resolve(_clock(zone, now_ms // 1000), name) if name != "/now" else now_ms


@lru_cache(maxsize=256)
def _clock(zone: str | None, now_s: int) -> dict[str, Any]:
    return time_attributes(now_s * 1000, zone)


def listed(key: Any, keys: frozenset[str]) -> bool:
    """Whether an attribute that may be anything is one of ``keys``."""
    return isinstance(key, str) and key in keys


def any_listed(members: Any, keys: frozenset[str]) -> bool:
    """Whether an attribute is an array that holds one of ``keys``."""
    if members.__class__ is not list and not isinstance(members, list | tuple):
        return False
    return any(isinstance(member, str) and member in keys for member in members)


def other(leaf: Leaf, attribute: Any, now_ms: int) -> bool:
    """What the operator itself says of an attribute of any type, or a missing one."""
    if attribute is None:
        return False
    return compare(OPERATIONS[leaf.op], attribute, leaf.values, now_ms)


def any_equal(words: Collection[Any], leaf: Leaf, attribute: Any, now_ms: int) -> bool:
    """The same where an array's elements are compared for being equal to a value.

    ``words`` holds the values that are strings; it may hold others as well.
    """
    if attribute.__class__ is list:
        negated = OPERATIONS[leaf.op].negated
        for element in attribute:
            if element.__class__ is not str:
                break  # of anything but strings the operator knows more
            if element in words:
                return not negated
        else:
            return negated
    return other(leaf, attribute, now_ms)


NAMES: dict[str, Any] = {
    "__builtins__": {},
    "Detail": Detail,
    "FALLTHROUGH": "FALLTHROUGH",
    "LONGEST_VERSION": MAX_LENGTH,
    "NOTHING": {},
    "RULE_MATCH": "RULE_MATCH",
    "Reason": Reason,
    "SCALE": SCALE,
    "USER": USER,
    "UnicodeEncodeError": UnicodeEncodeError,
    "any_equal": any_equal,
    "any_listed": any_listed,
    "before_now": before_now,
    "bool": bool,
    "clock": clock,
    "first_64_bits": first_64_bits,
    "float": float,
    "instant": read_instant,
    "int": int,
    "is_within": is_within,
    "len": len,
    "listed": listed,
    "number": number,
    "other": other,
    "precedence": precedence_of_short,
    "search": search,
    "sha1": sha1,
    "share_at": share_at,
    "str": str,
    "text_of": bucketing_value,
    "walk": walk,
}
