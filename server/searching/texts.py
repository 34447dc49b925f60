"""What of a flag and of its targeting can be found by words: texts in one case of letters.

Parts stand apart by a character that no query can hold, so that nothing is found across two.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from halyard_protocol.conditions import (
    SEGMENT_OPERATORS,
    All,
    AnyOf,
    Condition,
    Json,
    Leaf,
    Not,
    Unknown,
)

from domain.references import variations_in
from domain.state import FlagDefinition, FlagSettings

_APART = "\0"


class Targeting(NamedTuple):
    """What rules, targets and prerequisites name."""

    text: str
    """All of their words; empty where there are none of them."""
    segments: frozenset[str]


NO_TARGETING = Targeting("", frozenset())


def flag_text(flag: FlagDefinition) -> str:
    """Key, name and description."""
    return _joined((flag.key, flag.name, flag.description))


def targeting(settings: FlagSettings) -> Targeting:
    """What the settings name, beside the fallthrough."""
    if not (settings.rules or settings.targets or settings.prerequisites):
        return NO_TARGETING
    words: list[Json] = []
    segments: set[str] = set()
    for rule in settings.rules:
        words += (rule.id, rule.name, rule.description)
        _gather(rule.when, words, segments)
        words += variations_in(rule.serve)
    for target in settings.targets:
        words.append(target.variation)
        words += target.keys
    words += [prerequisite.flag for prerequisite in settings.prerequisites]
    return Targeting(_joined(words), frozenset(segments))


def _joined(words: Iterable[Json]) -> str:
    try:
        return _APART.join(words).casefold()  # type: ignore[arg-type]
    except TypeError:  # to look at each of a million values would take most of the time
        return _APART.join(map(_written, words)).casefold()


def _written(value: Json) -> str:
    """Numbers and the like as JSON writes them."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _gather(condition: Condition, words: list[Json], segments: set[str]) -> None:
    """Attributes, values and segments."""
    match condition:
        case Leaf():
            words.append(condition.attribute)
            words += condition.values
            if condition.op in SEGMENT_OPERATORS:
                segments.update(map(_written, condition.values))
        case All(children) | AnyOf(children):
            for child in children:
                _gather(child, words, segments)
        case Not(child):
            _gather(child, words, segments)
        case Unknown(_, source):
            words.append(source)
