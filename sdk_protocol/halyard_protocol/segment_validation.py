"""The strict reading of segments, for commands.

As :mod:`halyard_protocol.validation` is for flags: pure, every problem, never raising.
"""

from __future__ import annotations

from collections.abc import Container

from halyard_protocol.condition_validation import check_condition
from halyard_protocol.limits import MAX_NAME_LENGTH, MAX_SEGMENT_KEYS, MAX_SEGMENT_RULES
from halyard_protocol.problems import (
    Problem,
    Problems,
    attribute_problems,
    context_keys_problems,
    count_problems,
    key_problems,
    kind_problems,
    repeat_problems,
    text_problems,
    weight_problems,
)
from halyard_protocol.ruleset import Segment, SegmentKeys, SegmentRule


def segment_problems(segment: Segment, segments: Container[str]) -> tuple[Problem, ...]:
    """A whole segment. ``segments`` are the keys of the project's segments."""
    return (
        *key_problems("/key", segment.key),
        *member_problems("/included", segment.included),
        *member_problems("/excluded", segment.excluded),
        *segment_size_problems("/included", segment.included, segment.excluded),
        *segment_rules_problems("/rules", segment.rules, segments),
    )


def member_problems(path: str, members: tuple[SegmentKeys, ...]) -> tuple[Problem, ...]:
    """The included or the excluded keys: each kind once, no key twice."""
    return (
        *repeat_problems(path, [entry.kind for entry in members], "kind", "/kind"),
        *(
            problem
            for index, entry in enumerate(members)
            for problem in _check_members(f"{path}/{index}", entry)
        ),
    )


def _check_members(path: str, entry: SegmentKeys) -> Problems:
    yield from kind_problems(f"{path}/kind", entry.kind)
    yield from context_keys_problems(f"{path}/keys", entry.keys)


def segment_size_problems(
    path: str, included: tuple[SegmentKeys, ...], excluded: tuple[SegmentKeys, ...]
) -> tuple[Problem, ...]:
    """Both lists together: within the bound, and no key in both. ``path`` is where to say so."""
    ours = _pairs(included)
    theirs = _pairs(excluded)
    total = len(ours) + len(theirs)
    too_many = (
        Problem(path, f"a segment lists at most {MAX_SEGMENT_KEYS} keys, not {total}: use rules"),
    )
    return (
        *(too_many if total > MAX_SEGMENT_KEYS else ()),
        *(
            Problem(path, f"{kind} '{key}' is both included and excluded: choose one")
            for kind, key in sorted(ours & theirs)
        ),
    )


def _pairs(members: tuple[SegmentKeys, ...]) -> set[tuple[str, str]]:
    return {(entry.kind, key) for entry in members for key in entry.keys}


def segment_rules_problems(
    path: str, rules: tuple[SegmentRule, ...], segments: Container[str]
) -> tuple[Problem, ...]:
    """All rules of a segment; that they lead back to it is not seen here."""
    return (
        *count_problems(path, rules, MAX_SEGMENT_RULES, "rules"),
        *repeat_problems(path, [rule.id for rule in rules], "rule", "/id"),
        *(
            problem
            for index, rule in enumerate(rules)
            for problem in segment_rule_problems(f"{path}/{index}", rule, segments)
        ),
    )


def segment_rule_problems(
    path: str, rule: SegmentRule, segments: Container[str]
) -> tuple[Problem, ...]:
    """One rule of a segment."""
    return (
        *key_problems(f"{path}/id", rule.id),
        *text_problems(f"{path}/name", rule.name, MAX_NAME_LENGTH),
        *check_condition(f"{path}/when", rule.when, segments),
        *kind_problems(f"{path}/kind", rule.kind),
        *attribute_problems(f"{path}/by", rule.by),
        *(weight_problems(f"{path}/weight", rule.weight) if rule.weight is not None else ()),
    )
