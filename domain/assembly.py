"""Bringing many entities to wanted rows at once, in an order in which every step is accepted.

The commands are those of :mod:`domain.transitions`; what is new here is their order. Of a state
that was once reached, and that stands for itself, each step is accepted:

1. segments, those first that others name; then archived flags are restored that must change, or
   that must rest on or be rested on by such a one
2. flags begin, or get the variations that they will have beside those that they have
3. everything that is set in an environment but prerequisites; then those, bottom up, so that no
   circle ever closes
4. what shall be gone goes, from the top; variations that are no longer wanted go; flags that shall
   be archived are, from the top

Two bounds can still be met on the way, though neither state exceeds them: how many variations a
flag may have, and how long a chain may be. The refusal then says so, and nothing has happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

import msgspec
from msgspec.structs import replace

from domain import commands as c
from domain.chains import Links, dependencies_first
from domain.errors import UnknownEntity
from domain.evolve import initial_settings
from domain.facts import Entity
from domain.references import segments_of_rules, variation_uses
from domain.state import FlagDefinition, FlagSettings, ProjectState, SegmentDefinition
from domain.transitions import (
    creation,
    description_steps,
    prerequisite_steps,
    segment_commands,
    targeting_steps,
    variation_steps,
)

Place: TypeAlias = tuple[str, str]
"""A flag and an environment."""


class Wanted(msgspec.Struct, frozen=True):
    """How entities shall be. Those that are not named stay as they are."""

    segments: tuple[SegmentDefinition, ...] = ()
    flags: tuple[FlagDefinition, ...] = ()
    settings: Mapping[Place, FlagSettings] = {}
    """By (flag, environment), of flags that are there or in ``flags``."""
    gone_flags: frozenset[str] = frozenset()
    gone_segments: frozenset[str] = frozenset()


def assembly_commands(state: ProjectState, wanted: Wanted) -> tuple[c.Command, ...]:
    """The commands after which everything in ``wanted`` is as it says; none where it is so.

    Raises :class:`~domain.errors.OtherType`, and :class:`~domain.errors.UnknownEntity` where
    settings are of a flag or an environment that is not there.
    """
    return tuple(_Assembly(state, wanted).steps())


class _Assembly:
    """What is held and what is wanted of each flag concerned; read, never changed, by the steps."""

    def __init__(self, state: ProjectState, wanted: Wanted) -> None:
        self.state = state
        self.wanted = wanted
        self.definitions = {flag.key: flag for flag in wanted.flags}
        self.targeting = {
            place: tuple(targeting_steps(*place, self._held(place), row))
            for place, row in wanted.settings.items()
        }
        self.prerequisites = {
            place: tuple(prerequisite_steps(*place, self._held(place), row))
            for place, row in wanted.settings.items()
        }
        self.defining = {flag.key: tuple(self._define(flag)) for flag in wanted.flags}
        self.narrowing = {flag.key: tuple(self._narrow(flag)) for flag in wanted.flags}
        self.restored = self._restored()

    def steps(self) -> Iterator[c.Command]:
        """All commands, in order."""
        yield from self._segments()
        yield from map(c.RestoreFlag, self.restored)
        yield from _flat(self.defining.values())
        yield from _flat(self.targeting.values())
        bottom_up = dependencies_first(self.prerequisites, self._resting_on)
        yield from _flat(self.prerequisites[place] for place in bottom_up)
        yield from map(c.DeleteFlag, self._top_down(self.wanted.gone_flags, self._now_on))
        yield from _flat(self.narrowing.values())
        yield from map(c.ArchiveFlag, self._top_down(self._to_archive(), self._then_on))
        yield from map(c.DeleteSegment, self._top_down(self.wanted.gone_segments, self._naming))

    def _held(self, place: Place) -> FlagSettings:
        """How it is set, or will be once its flag has begun."""
        flag, environment = place
        held = self.state.settings.get(place)
        if held is not None:
            return held
        if environment in self.state.environments and flag in self.definitions:
            return initial_settings(self.definitions[flag])
        raise UnknownEntity(Entity("flag", flag, environment), self.state.flags)

    # -- segments --------------------------------------------------------------------------------

    def _segments(self) -> Iterator[c.Command]:
        wanted = {segment.key: segment for segment in self.wanted.segments}

        def onward(key: str) -> Iterable[str]:
            return segments_of_rules(wanted[key].rules) if key in wanted else self._naming(key)

        for key in dependencies_first(wanted, onward):
            yield from segment_commands(self.state, wanted[key])

    def _naming(self, segment: str) -> Iterable[str]:
        held = self.state.segments.get(segment)
        return () if held is None else segments_of_rules(held.rules)

    # -- definitions -----------------------------------------------------------------------------

    def _define(self, wanted: FlagDefinition) -> Iterator[c.Command]:
        held = self.state.flags.get(wanted.key)
        if held is None:
            yield creation(wanted)
            return
        yield from variation_steps(held, self._widened(held, wanted))
        yield from description_steps(held, wanted)

    def _widened(self, held: FlagDefinition, wanted: FlagDefinition) -> FlagDefinition:
        """``wanted`` with the variations that go, while something may still serve them."""
        stay = {variation.key for variation in wanted.variations}
        leaving = tuple(each for each in held.variations if each.key not in stay)
        keys = frozenset(variation.key for variation in leaving)
        if not leaving or not variation_uses(self.state, wanted.key, keys):
            return wanted
        both = {each.key: each for each in (*wanted.variations, *leaving)}
        as_held = tuple(both.pop(each.key) for each in held.variations)
        return replace(wanted, variations=as_held + tuple(both.values()))

    def _narrow(self, wanted: FlagDefinition) -> Iterator[c.Command]:
        held = self.state.flags.get(wanted.key)
        if held is not None:
            yield from variation_steps(self._widened(held, wanted), wanted)

    # -- archived flags --------------------------------------------------------------------------

    def _restored(self) -> tuple[str, ...]:
        """The archived flags that must be opened, those first that others rest on."""
        to_open = [flag for flag in self._worked_on() if self._is_archived(flag)]
        opened = dict.fromkeys(to_open)
        while to_open:
            flag = to_open.pop()
            for other in (*self._now_on(flag), *self._then_on(flag)):
                if other not in opened and self._is_archived(other):
                    opened[other] = None
                    to_open.append(other)
        return tuple(dependencies_first(opened, self._now_on))

    def _worked_on(self) -> Iterator[str]:
        for flag, definition in self.definitions.items():
            if self.defining[flag] or self.narrowing[flag] or not definition.archived:
                yield flag
        for place in self.wanted.settings:
            if self.targeting[place] or self.prerequisites[place]:
                yield place[0]
                yield from (flag for flag, _ in self._resting_on(place))

    def _is_archived(self, flag: str) -> bool:
        held = self.state.flags.get(flag)
        return held is not None and held.archived

    def _to_archive(self) -> Iterator[str]:
        for flag, definition in self.definitions.items():
            if definition.archived and (not self._is_archived(flag) or flag in self.restored):
                yield flag
        known = self.definitions.keys() | self.wanted.gone_flags
        yield from (flag for flag in self.restored if flag not in known)

    # -- who rests on whom -----------------------------------------------------------------------

    def _resting_on(self, place: Place) -> Iterable[Place]:
        """The places that one shall rest on, in its environment."""
        row = self.wanted.settings.get(place) or self.state.settings.get(place)
        return () if row is None else ((each.flag, place[1]) for each in row.prerequisites)

    def _now_on(self, flag: str) -> Iterable[str]:
        for environment in self.state.environments:
            row = self.state.settings.get((flag, environment))
            if row is not None:
                yield from (each.flag for each in row.prerequisites)

    def _then_on(self, flag: str) -> Iterable[str]:
        for environment in self.state.environments:
            yield from (other for other, _ in self._resting_on((flag, environment)))

    @staticmethod
    def _top_down(keys: Iterable[str], onward: Links) -> tuple[str, ...]:
        return tuple(dependencies_first(sorted(keys), onward))[::-1]


def _flat(groups: Iterable[Iterable[c.Command]]) -> Iterator[c.Command]:
    for group in groups:
        yield from group
