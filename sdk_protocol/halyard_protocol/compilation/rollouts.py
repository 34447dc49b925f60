"""The lines that bucket a context and choose its share."""

from __future__ import annotations

from typing import NamedTuple

from halyard_protocol.compilation.attributes import Attributes
from halyard_protocol.compilation.source import Source
from halyard_protocol.ruleset import TOTAL_WEIGHT


class Hashing(NamedTuple):
    """What is hashed: ``prefix`` and the text of one attribute of one kind."""

    prefix: bytes
    kind: str
    by: str


def prefix(key: str, salt: str, seed: int | None = None) -> bytes:
    """What stands before the value in the text that is hashed."""
    text = f"{key}.{salt}." if seed is None else f"{seed}."
    return text.encode("utf-8", "surrogatepass")


def limit(cumulative: int) -> float:
    """The number below which a bucketing number lies within the sum of some weights."""
    return min(max(cumulative, 0), TOTAL_WEIGHT) / TOTAL_WEIGHT


def write_number(source: Source, attributes: Attributes, hashing: Hashing, depth: int) -> None:
    """Set ``t`` to the text that is hashed, or None, and ``n`` to the bucketing number.

    For a string what ``number`` does is written out: a call would take a tenth longer.
    """
    prefix = source.bind_aside(hashing.prefix)
    digest = f"sha1({prefix} + t.encode()).digest()"
    source.line(f"t = {attributes.value(hashing.kind, hashing.by)}", depth)
    source.line("if t.__class__ is str:", depth)
    source.line(f"try: n = (first_64_bits({digest})[0] >> 4) / SCALE", depth + 1)
    source.line(f"except UnicodeEncodeError: n = number({prefix}, t)", depth + 1)
    source.line("else:", depth)
    source.line("t = text_of(t)", depth + 1)
    source.line(f"n = 0.0 if t is None else number({prefix}, t)", depth + 1)
