"""What each document of a ruleset leans on, and an index of it that follows changes.

A flag leans on its prerequisites, on the segments that its rules name, and on the environment where
a condition, a target or a rollout asks for that kind; a segment likewise. Only what is named by the
document itself is kept; the rest is found by following names backwards. So a change costs what it
touches, however large the ruleset is, and circles need no care.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal, TypeAlias

from halyard_protocol.conditions import (
    SEGMENT_OPERATORS,
    All,
    AnyOf,
    Condition,
    Leaf,
    Not,
)
from halyard_protocol.context import ENVIRONMENT
from halyard_protocol.ruleset import Environment, Flag, MalformedFlag, Rollout, Ruleset, Segment

Place: TypeAlias = tuple[Literal["flag", "segment", "environment"], str]
"""Where a ruleset has a document; the key of the environment is left empty."""

THE_ENVIRONMENT: Final[Place] = ("environment", "")

_NOTHING: Final[frozenset[Place]] = frozenset()


Document: TypeAlias = Flag | MalformedFlag | Segment | Environment


def document_at(ruleset: Ruleset, place: Place) -> Document | None:
    """The document of a place, where there is one."""
    sort, key = place
    match sort:
        case "flag":
            return ruleset.flags.get(key)
        case "segment":
            return ruleset.segments.get(key)
        case "environment":
            return ruleset.environment


def leans_on(document: Document) -> frozenset[Place]:
    """The places that a document names itself, whether or not there is anything."""
    match document:
        case Flag():
            named = frozenset(_of_flag(document))
        case Segment():
            named = frozenset(_of_segment(document))
        case _:
            return _NOTHING
    return named or _NOTHING


def leaves(condition: Condition) -> Iterator[Leaf]:
    """Every leaf of a condition, also of one that is not understood as a whole."""
    waiting = [condition]
    while waiting:
        match waiting.pop():
            case Leaf() as leaf:
                yield leaf
            case All(children) | AnyOf(children):
                waiting += children
            case Not(child):
                waiting.append(child)


def rollouts(flag: Flag) -> Iterator[Rollout]:
    """Every rollout of a flag."""
    for serve in (flag.fallthrough, *(rule.serve for rule in flag.rules)):
        if serve.rollout is not None:
            yield serve.rollout


def _of_flag(flag: Flag) -> Iterator[Place]:
    for prerequisite in flag.prerequisites:
        yield ("flag", prerequisite.flag)
    for rule in flag.rules:
        yield from _of_condition(rule.when)
    kinds = (*(each.kind for each in flag.targets), *(each.kind for each in rollouts(flag)))
    if ENVIRONMENT in kinds:
        yield THE_ENVIRONMENT


def _of_segment(segment: Segment) -> Iterator[Place]:
    for rule in segment.rules:
        yield from _of_condition(rule.when)
    lists = (*segment.included, *segment.excluded)
    if ENVIRONMENT in (*(each.kind for each in lists), *(rule.kind for rule in segment.rules)):
        yield THE_ENVIRONMENT


def _of_condition(condition: Condition) -> Iterator[Place]:
    for leaf in leaves(condition):
        if leaf.op in SEGMENT_OPERATORS:
            yield from (("segment", key) for key in leaf.values if isinstance(key, str))
        elif leaf.kind == ENVIRONMENT:
            yield THE_ENVIRONMENT


class Leanings:
    """Which flags may answer otherwise after a change, found without a look at the others.

    It answers what :func:`halyard_protocol.session.affected.affected` finds by looking at all.
    """

    __slots__ = ("_dependents", "_named")

    def __init__(self) -> None:
        self._named: dict[Place, frozenset[Place]] = {}
        """What each document names; those that name nothing are left out."""
        self._dependents: dict[Place, set[Place]] = {}

    def put(self, place: Place, document: Document | None) -> None:
        """A document is new, has changed, or (None) is gone."""
        named = _NOTHING if document is None else leans_on(document)
        before = self._named.get(place, _NOTHING)
        if named == before:
            return
        for other in before - named:
            dependents = self._dependents[other]
            dependents.discard(place)
            if not dependents:
                del self._dependents[other]
        for other in named - before:
            self._dependents.setdefault(other, set()).add(place)
        if named:
            self._named[place] = named
        else:
            del self._named[place]

    def affected(self, changed: Iterable[Place]) -> set[str]:
        """Keys of the flags among ``changed``, and of those that lean on any of it."""
        found = set(changed)
        waiting = list(found)
        while waiting:
            for dependent in self._dependents.get(waiting.pop(), ()):
                if dependent not in found:
                    found.add(dependent)
                    waiting.append(dependent)
        return {key for sort, key in found if sort == "flag"}
