"""The expression of a condition: groups, comparisons, presence, segments."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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
        membership: the expression of being in a segment, given its key.
        uses: how often the function names each segment. Of one that it names more than once it
            finds out only once in each call.
    """

    def __init__(
        self,
        source: Source,
        attributes: Attributes,
        membership: Callable[[str], str],
        uses: Mapping[str, int],
    ) -> None:
        self._source = source
        self._attributes = attributes
        self._membership = membership
        self._uses = uses
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
            anywhere = self._in_any([self._in_segment(str(key)) for key in leaf.values])
            return anywhere if leaf.op == "segment" else _negated(anywhere)
        value = self._attributes.value(leaf.kind, leaf.attribute, leaf.zone)
        if leaf.op in VALUELESS_OPERATORS:
            return f"({value} {'is not' if leaf.op == 'exists' else 'is'} None)"
        return comparison(self._source, leaf, value)

    def _in_any(self, memberships: list[str]) -> str:
        if ALWAYS in memberships:
            return ALWAYS
        possible = [each for each in memberships if each != NEVER]
        return f"({' or '.join(possible)})" if possible else NEVER

    def _in_segment(self, key: str) -> str:
        """The expression of being in a segment."""
        known = self._segments.get(key)
        if known is not None:
            return known
        member = self._membership(key)
        if member in (ALWAYS, NEVER) or self._uses[key] == 1:
            return member
        variable = f"s{len(self._segments)}"
        self._source.head.append(f"{variable} = None")
        remembered = f"({variable} if {variable} is not None else ({variable} := {member}))"
        self._segments[key] = remembered
        return remembered


def _negated(expression: str) -> str:
    if expression in (ALWAYS, NEVER):
        return NEVER if expression == ALWAYS else ALWAYS
    return f"(not {expression})"
