"""Which flags may answer otherwise after a change: the changed ones, and those that lean on them.

A flag leans on the segments that its rules name, on its prerequisites, and on the environment
where a condition asks for that kind. All of it is followed through: a segment's rule may name a
segment, a prerequisite may have prerequisites.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from halyard_protocol.conditions import (
    SEGMENT_OPERATORS,
    All,
    AnyOf,
    Condition,
    Leaf,
    Not,
)
from halyard_protocol.ruleset import Flag, Ruleset, Segment
from halyard_protocol.session.replica import Changed


def affected(ruleset: Ruleset, changed: Changed) -> frozenset[str]:
    """Keys of flags, those included that are no longer in the ruleset.

    Costs a look at every flag's prerequisites; at every condition too, where a segment or the
    environment is among what changed.
    """
    flags = [flag for flag in ruleset.flags.values() if isinstance(flag, Flag)]
    keys = set(changed.flags)
    if changed.segments or changed.environment:
        segments = _leaning_segments(ruleset, changed)
        keys.update(f.key for f in flags if _leans(_flag_leaves(f), segments, changed.environment))
    leaning = [flag for flag in flags if flag.prerequisites]
    while more := {f.key for f in leaning if f.key not in keys and _requires(f, keys)}:
        keys |= more
    return frozenset(keys)


def _requires(flag: Flag, keys: set[str]) -> bool:
    return any(prerequisite.flag in keys for prerequisite in flag.prerequisites)


def _leaning_segments(ruleset: Ruleset, changed: Changed) -> set[str]:
    segments = set(changed.segments)
    while more := {
        segment.key
        for segment in ruleset.segments.values()
        if segment.key not in segments
        and _leans(_segment_leaves(segment), segments, changed.environment)
    }:
        segments |= more
    return segments


def _leans(leaves: Iterable[Leaf], segments: set[str], environment: bool) -> bool:
    return any(
        (leaf.op in SEGMENT_OPERATORS and not segments.isdisjoint(_strings(leaf)))
        or (environment and leaf.kind == "environment")
        for leaf in leaves
    )


def _strings(leaf: Leaf) -> Iterator[str]:
    return (value for value in leaf.values if isinstance(value, str))


def _flag_leaves(flag: Flag) -> Iterator[Leaf]:
    for rule in flag.rules:
        yield from _leaves(rule.when)


def _segment_leaves(segment: Segment) -> Iterator[Leaf]:
    for rule in segment.rules:
        yield from _leaves(rule.when)


def _leaves(condition: Condition) -> Iterator[Leaf]:
    match condition:
        case Leaf():
            yield condition
        case All(children) | AnyOf(children):
            for child in children:
                yield from _leaves(child)
        case Not(child):
            yield from _leaves(child)
