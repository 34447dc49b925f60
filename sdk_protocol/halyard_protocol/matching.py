"""Whether a condition holds, and who is in a segment: each is defined by the other.

A rule is first checked for being understood as a whole, then decided. Anything that this version
does not know in it (an operator, a group, a shape, a value its operator cannot read, a time zone)
makes the whole rule not match, wherever in the tree it stands, so that an older SDK never opens
what a newer server meant to close.

A segment whose membership depends on itself has nobody in it, nor has any segment on the way
round. Answers about segments are kept for the length of one evaluation.

Where an inquiry has a recorder, it is told of each step; it is the same walk with and without.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

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
    Unknown,
)
from halyard_protocol.context import ENVIRONMENT, TIME, USER, Context, resolve
from halyard_protocol.instants import read_zone, time_attributes
from halyard_protocol.limits import MAX_SEGMENT_DEPTH
from halyard_protocol.operators import OPERATIONS, compare
from halyard_protocol.ruleset import Ruleset, Segment, SegmentKeys, SegmentRule, Target

if TYPE_CHECKING:
    # The recorder knows what is recorded, which is defined by the types here.
    from halyard_protocol.recording import Recorder

Through: TypeAlias = Literal["key", "groups", "roles", "organization"]
"""Where a listed key comes from: the context of that kind, or an attribute of the user."""

SegmentProblem: TypeAlias = Literal["unknown", "cycle", "tooDeep"]
"""Why nobody is in a segment: the ruleset lacks it, it depends on itself, or nests too deep."""


class Hashed(NamedTuple):
    """What became of an attribute that contexts are split by."""

    attribute: Any
    text: str | None
    """What was hashed; None where the attribute is missing or cannot be."""
    number: float


class Listing(NamedTuple):
    """The key by which a context is listed."""

    key: str
    through: Through


_MANY = 100
"""Members of an array."""
_MEMBERSHIPS: dict[str, Through] = {
    "group": "groups",
    "role": "roles",
    "organization": "organization",
}


class Inquiry:
    """One evaluation's surroundings: the ruleset, who is asking, and when."""

    __slots__ = (
        "context", "now_ms", "reached", "recorder", "ruleset", "segments",
        "segments_at", "segments_underway",
    )  # fmt: skip

    def __init__(
        self, ruleset: Ruleset, context: Context, now_ms: int, recorder: Recorder | None = None
    ) -> None:
        self.ruleset = ruleset
        self.context = context
        self.now_ms = now_ms
        self.recorder = recorder
        """What is told of each step; None where nobody asks why."""
        self.segments: dict[str, tuple[bool, int]] = {}
        """Answers so far, by segment key, with the number of levels that each looked below."""
        self.segments_at: dict[tuple[str, int], bool] = {}
        """Those that lean on a segment that nests too deep: by key, and the depth of its own."""
        self.reached = 0
        """The deepest level that the answer underway looked at; too deep a one included."""
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
    """Tell whether the context is among the keys of one kind: see :func:`listing`."""
    return listing(entry, inquiry) is not None


def listing(entry: Target | SegmentKeys, inquiry: Inquiry) -> Listing | None:
    """Find the context among the keys of one kind.

    Kind ``group`` and ``role`` also list the users whose ``groups`` or ``roles`` array holds one
    of the keys, and ``organization`` those whose ``organization`` attribute is one.
    """
    key = inquiry.attribute(entry.kind, "key")
    if isinstance(key, str) and key in entry.keys:
        return Listing(key, "key")
    through = _MEMBERSHIPS.get(entry.kind)
    if through is None:
        return None
    keys: Collection[str] = entry.keys
    members = _memberships(through, inquiry)
    if len(members) > _MANY:
        keys = frozenset(keys)  # or it takes as long as both numbers multiplied
    for member in members:
        if isinstance(member, str) and member in keys:
            return Listing(member, through)
    return None


def _memberships(through: Through, inquiry: Inquiry) -> list[Any] | tuple[Any, ...]:
    held = inquiry.attribute(USER, through)
    if through == "organization":
        return (held,)
    return held if isinstance(held, list | tuple) else ()


def matches(when: Condition, inquiry: Inquiry) -> bool:
    """Tell whether the condition of a rule holds: False where it is not understood."""
    problem = misunderstanding(when)
    if problem is None:
        return _holds(when, inquiry)
    if inquiry.recorder is not None:
        inquiry.recorder.not_understood(problem)
    return False


def is_understood(condition: Condition) -> bool:
    """Tell whether this version knows everything in the tree."""
    return misunderstanding(condition) is None


def misunderstanding(condition: Condition, depth: int = 0) -> str | None:
    """The first thing in the tree that this version does not know, told for people."""
    if depth > MAX_DEPTH:
        return f"conditions nest deeper than {MAX_DEPTH}"
    match condition:
        case All(children) | AnyOf(children):
            for child in children:
                problem = misunderstanding(child, depth + 1)
                if problem is not None:
                    return problem
            return None
        case Not(child):
            return misunderstanding(child, depth + 1)
        case Leaf():
            return _leaf_misunderstanding(condition)
        case Unknown(problem):
            return problem
    return "a condition is a group or a leaf"


def _leaf_misunderstanding(leaf: Leaf) -> str | None:
    if leaf.op in SEGMENT_OPERATORS:
        sound = all(isinstance(value, str) for value in leaf.values)
        return None if sound else f"a value of '{leaf.op}' is the key of a segment, a string"
    if leaf.kind == TIME and leaf.zone is not None and read_zone(leaf.zone) is None:
        return f"unknown time zone '{leaf.zone}'"
    if leaf.op in VALUELESS_OPERATORS:
        return None
    operation = OPERATIONS.get(leaf.op)
    if operation is None:
        return f"unknown operator '{leaf.op}'"
    for value in leaf.values:
        problem = operation.problem(value)
        if problem is not None:
            return f"a value of '{leaf.op}' {problem}"
    return None


def _holds(condition: Condition, inquiry: Inquiry) -> bool:
    recorder, held = inquiry.recorder, False
    if recorder is not None:
        recorder.enter(condition)
    match condition:
        case All(children):
            held = True
            for child in children:
                if not _holds(child, inquiry):
                    held = False
                    break
        case AnyOf(children):
            for child in children:
                if _holds(child, inquiry):
                    held = True
                    break
        case Not(child):
            held = not _holds(child, inquiry)
        case Leaf():
            held = _leaf_holds(condition, inquiry)
    if recorder is not None:
        recorder.leave(condition, held)
    return held


def _leaf_holds(leaf: Leaf, inquiry: Inquiry) -> bool:
    if leaf.op in SEGMENT_OPERATORS:
        inside = any(is_in_segment(str(key), inquiry) for key in leaf.values)
        return inside is (leaf.op == "segment")
    attribute = inquiry.attribute(leaf.kind, leaf.attribute, leaf.zone)
    if inquiry.recorder is not None:
        inquiry.recorder.found(attribute)
    if leaf.op in VALUELESS_OPERATORS:
        return (attribute is not None) is (leaf.op == "exists")
    if attribute is None:
        return False
    return compare(OPERATIONS[leaf.op], attribute, leaf.values, inquiry.now_ms)


def is_in_segment(key: str, inquiry: Inquiry) -> bool:
    """Tell whether the context is in a segment; nobody is in one that the ruleset lacks."""
    recorder = inquiry.recorder
    depth = len(inquiry.segments_underway)
    known = _known_answer(key, depth, inquiry)
    if known is not None:
        if recorder is not None:
            recorder.segment(key, known)
        return known
    segment = inquiry.ruleset.segments.get(key)
    if segment is None or depth > MAX_SEGMENT_DEPTH:
        if segment is not None:
            inquiry.reached = depth
        if recorder is not None:
            recorder.segment(key, False, "unknown" if segment is None else "tooDeep")
        return False
    if key in inquiry.segments_underway:
        if recorder is not None:
            recorder.segment(key, False, "cycle")
        raise _Cycle(key)
    return _new_answer(segment, depth, inquiry)


def _known_answer(key: str, depth: int, inquiry: Inquiry) -> bool | None:
    """What was found out before, where it would be found out here too."""
    if key in inquiry.segments:
        inside, levels = inquiry.segments[key]
        if depth + levels <= MAX_SEGMENT_DEPTH:
            inquiry.reached = max(inquiry.reached, depth + levels)
            return inside
    cut = inquiry.segments_at.get((key, depth))
    if cut is not None:
        inquiry.reached = MAX_SEGMENT_DEPTH + 1
    return cut


def _new_answer(segment: Segment, depth: int, inquiry: Inquiry) -> bool:
    reached, inquiry.reached = inquiry.reached, depth
    try:
        inside = _decide_segment(segment, inquiry)
        if inquiry.reached > MAX_SEGMENT_DEPTH:
            inquiry.segments_at[segment.key, depth] = inside
        else:
            inquiry.segments[segment.key] = inside, inquiry.reached - depth
    finally:
        inquiry.reached = max(inquiry.reached, reached)
    return inside


def _decide_segment(segment: Segment, inquiry: Inquiry) -> bool:
    recorder = inquiry.recorder
    if recorder is not None:
        recorder.enter(segment)
    inquiry.segments_underway.append(segment.key)
    try:
        inside = _has_member(segment, inquiry)
    except _Cycle as cycle:
        if recorder is not None:
            recorder.leave(segment)
        if cycle.segment != segment.key:
            inquiry.segments[segment.key] = False, 0
            raise
        return False
    finally:
        inquiry.segments_underway.pop()
    if recorder is not None:
        recorder.leave(segment, inside)
    return inside


def _has_member(segment: Segment, inquiry: Inquiry) -> bool:
    if _is_in_lists(segment.included, "included", inquiry):
        return True
    if _is_in_lists(segment.excluded, "excluded", inquiry):
        return False
    recorder = inquiry.recorder
    for index, rule in enumerate(segment.rules):
        if recorder is not None:
            recorder.enter(rule, index)
        matched = matches(rule.when, inquiry) and _is_in_share(rule, segment, inquiry)
        if recorder is not None:
            recorder.leave(rule, matched)
        if matched:
            return True
    return False


def _is_in_lists(
    lists: tuple[SegmentKeys, ...], which: Literal["included", "excluded"], inquiry: Inquiry
) -> bool:
    for index, entry in enumerate(lists):
        found = listing(entry, inquiry)
        if found is not None:
            if inquiry.recorder is not None:
                inquiry.recorder.listed(which, index, entry, found)
            return True
    return False


def _is_in_share(rule: SegmentRule, segment: Segment, inquiry: Inquiry) -> bool:
    if rule.weight is None:
        return True
    attribute = inquiry.attribute(rule.kind, rule.by)
    value = bucketing_value(attribute)
    number = 0.0 if value is None else bucket(segment.key, segment.salt, value)
    within = is_within(number, rule.weight)
    if inquiry.recorder is not None:
        inquiry.recorder.weighed(rule, rule.weight, Hashed(attribute, value, number), within)
    return within
