"""What of a context a flag can see: contexts that do not differ in it cannot differ in the answer.

So whoever answers many contexts groups them by what the flag sees, and decides it once for each
group, at one instant. What is seen may be too much, never too little.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeAlias

import msgspec

from halyard_protocol.conditions import SEGMENT_OPERATORS, Condition
from halyard_protocol.context import ENVIRONMENT, TIME, USER, Attributes, resolve
from halyard_protocol.instants import instant_ms
from halyard_protocol.ruleset import Flag, Ruleset, Segment
from halyard_protocol.session.leaning import (
    Document,
    Place,
    document_at,
    leans_on,
    leaves,
    rollouts,
)

Attribute: TypeAlias = tuple[str, str]
"""A context kind, and a literal name or a path."""

Seen: TypeAlias = tuple[str | bytes | None, ...]
"""The values of some attributes: strings as they are, all else but null as JSON."""

_KEY: Final = "key"
_MEMBERSHIPS: Final = {"group": "groups", "role": "roles", "organization": "organization"}
_SUPPLIED: Final = b""
"""Stands where the environment's own attribute is used; it is no JSON."""


def attributes_seen(ruleset: Ruleset, flag_key: str) -> tuple[Attribute, ...]:
    """The attributes that deciding a flag may look at, its prerequisites and segments included."""
    found: set[Attribute] = set()
    for document in _reached(ruleset, flag_key):
        match document:
            case Flag():
                found.update(_of_flag(document))
            case Segment():
                found.update(_of_segment(document))
    return tuple(sorted(each for each in found if each[0] != TIME))


def has_ramps(ruleset: Ruleset, flag_key: str) -> bool:
    """Whether a flag, or one that it requires, rises steadily with time."""
    return any(
        rollout.ramp is not None
        for document in _reached(ruleset, flag_key)
        if isinstance(document, Flag)
        for rollout in rollouts(document)
    )


def expiries_ms(ruleset: Ruleset, flag_key: str) -> frozenset[int]:
    """The instants at which a flag, what it requires, or a target of either expires."""
    flags = [each for each in _reached(ruleset, flag_key) if isinstance(each, Flag)]
    expiring = {flag.expires_at for flag in flags}
    expiring |= {target.expires_at for flag in flags for target in flag.targets}
    return frozenset(instant_ms(at) for at in expiring if at is not None)


def _reached(ruleset: Ruleset, flag_key: str) -> Iterator[Document]:
    """A flag, and every document that it leans on, each once."""
    known: set[Place] = set()
    waiting: list[Place] = [("flag", flag_key)]
    while waiting:
        place = waiting.pop()
        if place in known:
            continue
        known.add(place)
        document = document_at(ruleset, place)
        if document is not None:
            waiting += leans_on(document)
            yield document


def seen(attributes: Iterable[Attribute], kinds: dict[str, Attributes]) -> Seen:
    """What a context, given by its kinds, has of some attributes."""
    return tuple([_seen(kind, name, kinds) for kind, name in attributes])


def _seen(kind: str, name: str, kinds: dict[str, Attributes]) -> str | bytes | None:
    held = kinds.get(kind)
    if held is None:
        # A context that has this kind, but not the attribute, hides the environment's own.
        return _SUPPLIED if kind == ENVIRONMENT else None
    value: Any = resolve(held, name)
    if value is None or value.__class__ is str:
        return value
    return msgspec.json.encode(value)


def _of_flag(flag: Flag) -> Iterator[Attribute]:
    for target in flag.targets:
        yield from _of_list(target.kind)
    for rule in flag.rules:
        yield from _of_condition(rule.when)
    for rollout in rollouts(flag):
        yield (rollout.kind, _KEY if rollout.experiment is not None else rollout.by)


def _of_segment(segment: Segment) -> Iterator[Attribute]:
    for entry in (*segment.included, *segment.excluded):
        yield from _of_list(entry.kind)
    for rule in segment.rules:
        yield from _of_condition(rule.when)
        if rule.weight is not None:
            yield (rule.kind, rule.by)


def _of_list(kind: str) -> Iterator[Attribute]:
    yield (kind, _KEY)
    if kind in _MEMBERSHIPS:
        yield (USER, _MEMBERSHIPS[kind])


def _of_condition(condition: Condition) -> Iterator[Attribute]:
    for leaf in leaves(condition):
        if leaf.op not in SEGMENT_OPERATORS:
            yield (leaf.kind, leaf.attribute)
