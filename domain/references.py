"""Who names whom: which flags, variations and segments rest on which.

Nothing is indexed but which settings have prerequisites: these walks happen when something is to be
removed, which is rare, and an index would have to be kept right at every other command.
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
from halyard_protocol.ruleset import Rule, SegmentRule, Serve

from domain.errors import Use
from domain.facts import Entity
from domain.state import FlagSettings, ProjectState


def segments_in(condition: Condition) -> Iterator[str]:
    """The keys of segments that a condition names, with repeats."""
    match condition:
        case All(children) | AnyOf(children):
            for child in children:
                yield from segments_in(child)
        case Not(child):
            yield from segments_in(child)
        case Leaf() if condition.op in SEGMENT_OPERATORS:
            yield from (value for value in condition.values if isinstance(value, str))


def segments_of_rules(rules: Iterable[SegmentRule | Rule]) -> Iterator[str]:
    """The keys of segments that the rules of a segment or of a flag name, with repeats."""
    for rule in rules:
        yield from segments_in(rule.when)


def variations_in(serve: Serve) -> Iterator[str]:
    """The keys of variations that a serve can yield, with repeats."""
    if serve.variation is not None:
        yield serve.variation
    if serve.rollout is not None:
        yield from (bucket.variation for bucket in serve.rollout.buckets)
        if serve.rollout.ramp is not None:
            yield from (serve.rollout.ramp.variation, serve.rollout.ramp.otherwise)


def segment_uses(state: ProjectState, segment: str) -> tuple[Use, ...]:
    """Where a segment is named: in rules of flags (archived ones too) and of segments."""
    return _ordered(_segment_uses(state, segment))


def _segment_uses(state: ProjectState, segment: str) -> Iterator[Use]:
    for (flag, environment), settings in state.settings.items():
        for rule in settings.rules:
            if segment in segments_in(rule.when):
                yield Use(Entity("flag", flag, environment), f"rule '{rule.id}'")
    for key, definition in state.segments.items():
        for segment_rule in definition.rules:
            if segment in segments_in(segment_rule.when):
                yield Use(Entity("segment", key), f"rule '{segment_rule.id}'")


def _ordered(uses: Iterable[Use]) -> tuple[Use, ...]:
    return tuple(sorted(uses, key=lambda use: (use.by.kind, use.by.key, use.by.environment or "")))


def prerequisite_uses(state: ProjectState, flag: str) -> tuple[Use, ...]:
    """Where a flag is a prerequisite: of which flags (archived ones too), in which environment."""
    return _ordered(
        Use(Entity("flag", dependent, environment), "prerequisites")
        for (dependent, environment), settings in state.settings.noted()
        if any(prerequisite.flag == flag for prerequisite in settings.prerequisites)
    )


def variation_uses(state: ProjectState, flag: str, variations: frozenset[str]) -> tuple[Use, ...]:
    """Where any of a flag's variations is named, in its own settings and in prerequisites."""
    own = (
        Use(Entity("flag", flag, environment), part)
        for environment in sorted(state.environments)
        for part in _parts_naming(state.settings[flag, environment], variations)
    )
    others = (
        use
        for use in prerequisite_uses(state, flag)
        if variations & _required_of(state.settings[use.by.key, use.by.environment or ""], flag)
    )
    return (*own, *others)


def _required_of(settings: FlagSettings, flag: str) -> frozenset[str]:
    return frozenset(
        variation
        for prerequisite in settings.prerequisites
        if prerequisite.flag == flag
        for variation in prerequisite.variations
    )


def _parts_naming(settings: FlagSettings, variations: frozenset[str]) -> Iterator[str]:
    if settings.off_variation in variations:
        yield "off variation"
    if not variations.isdisjoint(variations_in(settings.fallthrough)):
        yield "fallthrough"
    if any(target.variation in variations for target in settings.targets):
        yield "targets"
    for rule in settings.rules:
        if not variations.isdisjoint(variations_in(rule.serve)):
            yield f"rule '{rule.id}'"
