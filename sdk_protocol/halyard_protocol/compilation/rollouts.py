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
    """Set ``t`` to the text that is hashed, or None, and ``n`` to the bucketing number."""
    source.line(f"t = {attributes.value(hashing.kind, hashing.by)}", depth)
    source.line("if t.__class__ is not str: t = text_of(t)", depth)
    source.line(f"n = 0.0 if t is None else number({source.bind(hashing.prefix)}, t)", depth)
