"""Which flags may answer otherwise after a change: the changed ones, and those that lean on them.

What leaning means is told in :mod:`halyard_protocol.session.leaning`. Here the whole ruleset is
looked through: right for whoever is asked seldom, and would otherwise have to keep an index.
"""

from __future__ import annotations

from halyard_protocol.ruleset import Flag, Ruleset
from halyard_protocol.session.leaning import THE_ENVIRONMENT, Place, leans_on
from halyard_protocol.session.replica import Changed


def affected(ruleset: Ruleset, changed: Changed) -> frozenset[str]:
    """Keys of flags, those included that are no longer in the ruleset.

    Costs a look at every flag's prerequisites; at every condition too, where a segment or the
    environment is among what changed.
    """
    flags = [flag for flag in ruleset.flags.values() if isinstance(flag, Flag)]
    keys = set(changed.flags)
    if changed.segments or changed.environment:
        places = _leaning_segments(ruleset, changed)
        keys.update(flag.key for flag in flags if not places.isdisjoint(leans_on(flag)))
    leaning = [flag for flag in flags if flag.prerequisites]
    while more := {f.key for f in leaning if f.key not in keys and _requires(f, keys)}:
        keys |= more
    return frozenset(keys)


def _requires(flag: Flag, keys: set[str]) -> bool:
    return any(prerequisite.flag in keys for prerequisite in flag.prerequisites)


def _leaning_segments(ruleset: Ruleset, changed: Changed) -> set[Place]:
    """The segments that changed or lean on what did, and the environment where that did."""
    places: set[Place] = {("segment", key) for key in changed.segments}
    if changed.environment:
        places.add(THE_ENVIRONMENT)
    named: dict[Place, frozenset[Place]] = {
        ("segment", segment.key): leans_on(segment) for segment in ruleset.segments.values()
    }
    while more := {
        place
        for place, others in named.items()
        if place not in places and not places.isdisjoint(others)
    }:
        places |= more
    return places
