"""The tree of a rule's ``when``: groups, leaves, and what this version does not understand.

A condition travels as one of::

    {"all": [condition, ...]}      every one; an empty list matches
    {"any": [condition, ...]}      at least one; an empty list does not match
    {"not": condition}
    {"kind"?, "attribute", "op", "values"?, "zone"?}
    {"op": "segment" | "notSegment", "values": [segment key, ...]}

Reading is total. Whatever is not of these shapes becomes :class:`Unknown`, which makes its whole
rule not match, so that an old SDK never opens what a newer server meant to close. ``Unknown``
keeps its source: what was read is written back unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
"""What ``json.loads`` yields."""

MAX_DEPTH = 32
"""Groups nested deeper than this are not understood; commands refuse them."""

SEGMENT_OPERATORS = frozenset({"segment", "notSegment"})
VALUELESS_OPERATORS = frozenset({"exists", "notExists"})
OPERATORS = SEGMENT_OPERATORS | VALUELESS_OPERATORS | frozenset(
    {
        "equals", "notEquals", "in", "notIn", "contains", "notContains",
        "startsWith", "notStartsWith", "endsWith", "notEndsWith", "matches", "notMatches",
        "greaterThan", "greaterThanOrEqual", "lessThan", "lessThanOrEqual",
        "before", "after", "olderThan", "newerThan",
        "semverEquals", "semverGreaterThan", "semverLessThan", "ipInRange",
    }
)  # fmt: skip
"""Every operator of this version. Adding one begins with a vector."""

_LEAF_FIELDS = frozenset({"kind", "attribute", "op", "values", "zone"})


class Condition:
    """One node of the tree: exactly one of the classes below. A value: never changed.

    Plain classes rather than dataclasses or structs: msgspec would write those in its own shape
    instead of asking :func:`condition_to_json`.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Condition) or type(self) is not type(other):
            return NotImplemented
        return self._encoded() == other._encoded()

    def __hash__(self) -> int:
        return hash(self._encoded())

    def _encoded(self) -> bytes:
        # As JSON, since Python takes 1, 1.0 and True for equal.
        return msgspec.json.encode(condition_to_json(self), order="sorted")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({condition_to_json(self)!r})"


class All(Condition):
    """Matches when every child does."""

    __slots__ = __match_args__ = ("conditions",)

    def __init__(self, conditions: tuple[Condition, ...]) -> None:
        self.conditions = conditions


class AnyOf(Condition):
    """Matches when at least one child does."""

    __slots__ = __match_args__ = ("conditions",)

    def __init__(self, conditions: tuple[Condition, ...]) -> None:
        self.conditions = conditions


class Not(Condition):
    """Matches when its child does not."""

    __slots__ = __match_args__ = ("condition",)

    def __init__(self, condition: Condition) -> None:
        self.condition = condition


class Leaf(Condition):
    """Compares one attribute of one context kind with values: any of them suffices.

    ``attribute`` is a literal name, or a path when it begins with ``/``; empty for the segment
    operators. ``zone`` is an IANA time zone, for the kind ``time`` only.
    """

    __slots__ = __match_args__ = ("op", "values", "attribute", "kind", "zone")

    def __init__(
        self,
        op: str,
        values: tuple[Json, ...] = (),
        attribute: str = "",
        kind: str = "user",
        zone: str | None = None,
    ) -> None:
        self.op = op
        self.values = values
        self.attribute = attribute
        self.kind = kind
        self.zone = zone


class Unknown(Condition):
    """Something this version does not understand, kept as it was read."""

    __slots__ = __match_args__ = ("problem", "source")

    def __init__(self, problem: str, source: Json = None) -> None:
        self.problem = problem
        self.source = source


def condition_from_json(source: Json, depth: int = 0) -> Condition:
    """Read a condition; never raises."""
    if not isinstance(source, dict):
        return Unknown("a condition is an object", source)
    if depth > MAX_DEPTH:
        return Unknown(f"conditions nest deeper than {MAX_DEPTH}", source)
    if len(source) == 1:
        (group, content), *_ = source.items()
        if group in ("all", "any"):
            if not isinstance(content, list):
                return Unknown(f"'{group}' holds a list of conditions", source)
            children = tuple(condition_from_json(child, depth + 1) for child in content)
            return All(children) if group == "all" else AnyOf(children)
        if group == "not":
            return Not(condition_from_json(content, depth + 1))
    return _leaf_from_json(source)


def _leaf_from_json(source: Mapping[str, Json]) -> Condition:
    problem = _leaf_problem(source)
    if problem is not None:
        return Unknown(problem, dict(source))
    values = source.get("values")
    return Leaf(
        op=str(source["op"]),
        values=tuple(values) if isinstance(values, list) else (),
        attribute=str(source.get("attribute", "")),
        kind=str(source.get("kind", "user")),
        zone=None if source.get("zone") is None else str(source["zone"]),
    )


def _leaf_problem(source: Mapping[str, Json]) -> str | None:
    op = source.get("op")
    if not isinstance(op, str):
        return "a condition has 'all', 'any', 'not' or 'op'"
    if op not in OPERATORS:
        return f"unknown operator '{op}'"
    unknown = sorted(source.keys() - _LEAF_FIELDS)
    if unknown:
        return f"unknown field '{unknown[0]}'"
    if op not in SEGMENT_OPERATORS and not isinstance(source.get("attribute"), str):
        return "'attribute' names what is compared"
    if op not in VALUELESS_OPERATORS and not isinstance(source.get("values"), list):
        return "'values' is a list"
    if not isinstance(source.get("kind", "user"), str):
        return "'kind' is a string"
    if not isinstance(source.get("zone", ""), str | None):
        return "'zone' is a string"
    return None


def condition_to_json(condition: Condition) -> Json:
    """Write a condition in the shape it travels in; defaults are left out."""
    match condition:
        case All(children):
            return {"all": [condition_to_json(child) for child in children]}
        case AnyOf(children):
            return {"any": [condition_to_json(child) for child in children]}
        case Not(child):
            return {"not": condition_to_json(child)}
        case Leaf():
            return _leaf_to_json(condition)
        case Unknown(_, source):
            return source
    raise TypeError(f"not a condition: {condition!r}")


def _leaf_to_json(leaf: Leaf) -> Json:
    written: dict[str, Json] = {}
    if leaf.kind != "user":
        written["kind"] = leaf.kind
    if leaf.op not in SEGMENT_OPERATORS:
        written["attribute"] = leaf.attribute
    written["op"] = leaf.op
    if leaf.op not in VALUELESS_OPERATORS or leaf.values:
        written["values"] = list(leaf.values)
    if leaf.zone is not None:
        written["zone"] = leaf.zone
    return written
