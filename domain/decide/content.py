"""What a ruleset may hold: the vocabulary's own checks, and that what is named is there."""

from __future__ import annotations

from collections.abc import Container, Iterator

from halyard_protocol.ruleset import (
    FlagType,
    Prerequisite,
    Rule,
    SegmentKeys,
    SegmentRule,
    Serve,
    Target,
    Variation,
)

from domain.errors import Problem
from domain.names import Problems, distinct
from domain.references import segments_in, variations_in
from domain.state import ProjectState


def variation_problems(path: str, of: FlagType, variations: tuple[Variation, ...]) -> Problems:
    """The variations of a flag: at least one, each of the flag's type."""
    if not variations:
        return (Problem(path, f"missing: a flag of type {of} needs its variations"),)
    return distinct(path, (variation.key for variation in variations), "variation")


def serve_problems(path: str, serve: Serve, variations: Container[str]) -> Problems:
    """What a rule or the fallthrough yields."""
    return tuple(
        Problem(path, f"there is no variation '{variation}'")
        for variation in variations_in(serve)
        if variation not in variations
    )


def target_problems(path: str, targets: tuple[Target, ...], variations: Container[str]) -> Problems:
    """All targets of a flag."""
    return tuple(
        Problem(f"{path}/{index}/variation", f"there is no variation '{target.variation}'")
        for index, target in enumerate(targets)
        if target.variation not in variations
    )


def rule_problems(
    path: str, rule: Rule, variations: Container[str], segments: Container[str]
) -> Problems:
    """One rule of a flag."""
    return (
        *serve_problems(f"{path}/serve", rule.serve, variations),
        *(
            Problem(f"{path}/when", f"there is no segment '{segment}'")
            for segment in segments_in(rule.when)
            if segment not in segments
        ),
    )


def prerequisite_problems(
    path: str, prerequisites: tuple[Prerequisite, ...], state: ProjectState
) -> Problems:
    """All prerequisites of a flag: flags that are there, and some of their variations."""
    return tuple(
        problem
        for index, prerequisite in enumerate(prerequisites)
        for problem in _prerequisite(f"{path}/{index}", prerequisite, state)
    )


def _prerequisite(path: str, prerequisite: Prerequisite, state: ProjectState) -> Iterator[Problem]:
    flag = state.flags.get(prerequisite.flag)
    if flag is None:
        yield Problem(f"{path}/flag", f"there is no flag '{prerequisite.flag}'")
        return
    keys = {variation.key for variation in flag.variations}
    for index, variation in enumerate(prerequisite.variations):
        if variation not in keys:
            reason = f"flag '{flag.key}' has no variation '{variation}'"
            yield Problem(f"{path}/variations/{index}", reason)


def members_problems(path: str, lists: tuple[SegmentKeys, ...]) -> Problems:
    """One of the lists of a segment."""
    return distinct(path, (held.kind for held in lists), "kind")


def member_problems(path: str, kind: str, keys: tuple[str, ...]) -> Problems:
    """Keys of one kind that go into a segment, or out of it."""
    return ()


def segment_rules_problems(
    path: str, rules: tuple[SegmentRule, ...], segments: Container[str]
) -> Problems:
    """All rules of a segment."""
    return tuple(
        Problem(f"{path}/{index}/when", f"there is no segment '{segment}'")
        for index, rule in enumerate(rules)
        for segment in segments_in(rule.when)
        if segment not in segments
    )
