"""Whether a condition holds, and who is in a segment: each is defined by the other.

A rule is first checked for being understood as a whole, then decided. Anything that this version
does not know in it (an operator, a group, a shape, a value its operator cannot read, a time zone)
makes the whole rule not match, wherever in the tree it stands, so that an older SDK never opens
what a newer server meant to close.

A segment whose membership depends on itself has nobody in it, nor has any segment on the way
round. Answers about segments are kept for the length of one evaluation.
"""

from __future__ import annotations

from typing import Any

from halyard_protocol.bucketing import bucket, bucketing_value, is_within
from halyard_protocol.conditions import (
    MAX_DEPTH,
    SEGMENT_OPERATORS,
    VALUELESS_OPERATORS,
    All,
    AnyOf,
    Condition,
    Leaf,
    Not,
)
from halyard_protocol.context import ENVIRONMENT, TIME, USER, Context, resolve
from halyard_protocol.instants import read_zone, time_attributes
from halyard_protocol.limits import MAX_SEGMENT_DEPTH
from halyard_protocol.operators import OPERATIONS, compare
from halyard_protocol.ruleset import Ruleset, Segment, SegmentKeys, SegmentRule, Target

_MEMBERSHIPS = {"group": "groups", "role": "roles"}


class Inquiry:
    """One evaluation's surroundings: the ruleset, who is asking, and when."""

    __slots__ = ("context", "now_ms", "ruleset", "segments", "segments_underway")

    def __init__(self, ruleset: Ruleset, context: Context, now_ms: int) -> None:
        self.ruleset = ruleset
        self.context = context
        self.now_ms = now_ms
        self.segments: dict[str, bool] = {}
        """Answers so far, by segment key."""
        self.segments_underway: list[str] = []
        """The segments being decided, outermost first."""

    def attribute(self, kind: str, name: str, zone: str | None = None) -> Any:
        """An attribute of the context, the environment or the instant; None where missing."""
        if kind == TIME:
            return resolve(time_attributes(self.now_ms, zone), name)
        attributes = self.context.kinds.get(kind)
        if attributes is not None:
            return resolve(attributes, name)
        if kind == ENVIRONMENT:
            environment = self.ruleset.environment
            return resolve({**environment.attributes, "key": environment.key}, name)
        return None


class _Cycle(Exception):
    """A segment was met while it was being decided."""

    def __init__(self, segment: str) -> None:
        self.segment = segment


def is_listed(entry: Target | SegmentKeys, inquiry: Inquiry) -> bool:
    """Tell whether the context is among the keys of one kind.

    Kind ``group`` and ``role`` also list the users whose ``groups`` or ``roles`` array holds one
    of the keys, and ``organization`` those whose ``organization`` attribute is one.
    """
    key = inquiry.attribute(entry.kind, "key")
    if isinstance(key, str) and key in entry.keys:
        return True
    return any(
        isinstance(member, str) and member in entry.keys
        for member in _memberships(entry.kind, inquiry)
    )


def _memberships(kind: str, inquiry: Inquiry) -> list[Any] | tuple[Any, ...]:
    if kind == "organization":
        return (inquiry.attribute(USER, "organization"),)
    listed = inquiry.attribute(USER, _MEMBERSHIPS[kind]) if kind in _MEMBERSHIPS else None
    return listed if isinstance(listed, list | tuple) else ()


def matches(when: Condition, inquiry: Inquiry) -> bool:
    """Tell whether the condition of a rule holds: False where it is not understood."""
    return is_understood(when) and _holds(when, inquiry)


def is_understood(condition: Condition, depth: int = 0) -> bool:
    """Tell whether this version knows everything in the tree."""
    if depth > MAX_DEPTH:
        return False
    match condition:
        case All(children) | AnyOf(children):
            for child in children:  # noqa: SIM110 a generator would take a second stack frame
                if not is_understood(child, depth + 1):
                    return False
            return True
        case Not(child):
            return is_understood(child, depth + 1)
        case Leaf():
            return _is_leaf_understood(condition)
    return False


def _is_leaf_understood(leaf: Leaf) -> bool:
    if leaf.op in SEGMENT_OPERATORS:
        return all(isinstance(value, str) for value in leaf.values)
    if leaf.kind == TIME and leaf.zone is not None and read_zone(leaf.zone) is None:
        return False
    if leaf.op in VALUELESS_OPERATORS:
        return True
    operation = OPERATIONS.get(leaf.op)
    return operation is not None and all(operation.problem(v) is None for v in leaf.values)


def _holds(condition: Condition, inquiry: Inquiry) -> bool:
    match condition:
        case All(children):
            for child in children:  # noqa: SIM110 as above
                if not _holds(child, inquiry):
                    return False
            return True
        case AnyOf(children):
            for child in children:  # noqa: SIM110 as above
                if _holds(child, inquiry):
                    return True
            return False
        case Not(child):
            return not _holds(child, inquiry)
        case Leaf():
            return _leaf_holds(condition, inquiry)
    return False


def _leaf_holds(leaf: Leaf, inquiry: Inquiry) -> bool:
    if leaf.op in SEGMENT_OPERATORS:
        inside = any(is_in_segment(str(key), inquiry) for key in leaf.values)
        return inside is (leaf.op == "segment")
    attribute = inquiry.attribute(leaf.kind, leaf.attribute, leaf.zone)
    if leaf.op in VALUELESS_OPERATORS:
        return (attribute is not None) is (leaf.op == "exists")
    if attribute is None:
        return False
    return compare(OPERATIONS[leaf.op], attribute, leaf.values, inquiry.now_ms)


def is_in_segment(key: str, inquiry: Inquiry) -> bool:
    """Tell whether the context is in a segment; nobody is in one that the ruleset lacks."""
    known = inquiry.segments.get(key)
    if known is not None:
        return known
    segment = inquiry.ruleset.segments.get(key)
    if segment is None or len(inquiry.segments_underway) > MAX_SEGMENT_DEPTH:
        return False
    if key in inquiry.segments_underway:
        raise _Cycle(key)
    inside = _decide_segment(segment, inquiry)
    inquiry.segments[key] = inside
    return inside


def _decide_segment(segment: Segment, inquiry: Inquiry) -> bool:
    inquiry.segments_underway.append(segment.key)
    try:
        return _has_member(segment, inquiry)
    except _Cycle as cycle:
        if cycle.segment != segment.key:
            inquiry.segments[segment.key] = False
            raise
        return False
    finally:
        inquiry.segments_underway.pop()


def _has_member(segment: Segment, inquiry: Inquiry) -> bool:
    if any(is_listed(entry, inquiry) for entry in segment.included):
        return True
    if any(is_listed(entry, inquiry) for entry in segment.excluded):
        return False
    for rule in segment.rules:
        if matches(rule.when, inquiry) and _is_in_share(rule, segment, inquiry):
            return True
    return False


def _is_in_share(rule: SegmentRule, segment: Segment, inquiry: Inquiry) -> bool:
    if rule.weight is None:
        return True
    value = bucketing_value(inquiry.attribute(rule.kind, rule.by))
    number = 0.0 if value is None else bucket(segment.key, segment.salt, value)
    return is_within(number, rule.weight)
