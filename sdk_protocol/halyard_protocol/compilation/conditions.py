"""The expression of a condition: groups, comparisons, presence, segments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from halyard_protocol.compilation.attributes import Attributes
from halyard_protocol.compilation.leaves import comparison
from halyard_protocol.compilation.source import Source
from halyard_protocol.conditions import (
    SEGMENT_OPERATORS,
    VALUELESS_OPERATORS,
    All,
    AnyOf,
    Condition,
    Leaf,
    Not,
)

ALWAYS = "True"
NEVER = "False"


class Conditions:
    """Writes the conditions of one function.

    Args:
        source: of the function.
        attributes: of the same.
        membership: the function of a segment, given its key; None where there is no such segment.
    """

    def __init__(
        self,
        source: Source,
        attributes: Attributes,
        membership: Callable[[str], Callable[..., Any] | None],
    ) -> None:
        self._source = source
        self._attributes = attributes
        self._membership = membership
        self._segments: dict[str, str] = {}

    def expression(self, condition: Condition) -> str:
        """The expression of a condition that is understood; :data:`ALWAYS` and :data:`NEVER`."""
        match condition:
            case All(children):
                return self._group(children, " and ", neutral=ALWAYS, decisive=NEVER)
            case AnyOf(children):
                return self._group(children, " or ", neutral=NEVER, decisive=ALWAYS)
            case Not(child):
                return _negated(self.expression(child))
            case Leaf():
                return self._leaf(condition)
        raise TypeError(f"not understood: {condition!r}")

    def _group(
        self, children: tuple[Condition, ...], word: str, *, neutral: str, decisive: str
    ) -> str:
        parts = []
        for child in children:
            part = self.expression(child)
            if part == decisive:
                return decisive
            if part != neutral:
                parts.append(part)
        if not parts:
            return neutral
        return parts[0] if len(parts) == 1 else f"({word.join(parts)})"

    def _leaf(self, leaf: Leaf) -> str:
        if leaf.op in SEGMENT_OPERATORS:
            inside = [part for key in leaf.values if (part := self._in_segment(str(key)))]
            anywhere = f"({' or '.join(inside)})" if inside else NEVER
            return anywhere if leaf.op == "segment" else _negated(anywhere)
        value = self._attributes.value(leaf.kind, leaf.attribute, leaf.zone)
        if leaf.op in VALUELESS_OPERATORS:
            return f"({value} {'is not' if leaf.op == 'exists' else 'is'} None)"
        return comparison(self._source, leaf, value)

    def _in_segment(self, key: str) -> str | None:
        """Whether the context is in a segment; found out once in each call of the function."""
        known = self._segments.get(key)
        if known is not None:
            return known
        member = self._membership(key)
        if member is None:
            return None
        variable = f"s{len(self._segments)}"
        self._source.head.append(f"{variable} = None")
        call = f"{self._source.bind(member)}(kinds, now)"
        remembered = f"({variable} if {variable} is not None else ({variable} := {call}))"
        self._segments[key] = remembered
        return remembered


def _negated(expression: str) -> str:
    if expression in (ALWAYS, NEVER):
        return NEVER if expression == ALWAYS else ALWAYS
    return f"(not {expression})"
