"""Sums since the last batch, and how many different ones there may be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from typing import TypeAlias

from halyard_protocol.context import Context

from eventstore.counts import (
    MAX_COUNT,
    EventCount,
    ExposureCount,
    LossCount,
    LossReason,
    Row,
    SeenAttribute,
    SeenValue,
    What,
)
from streaming.upstream.sampling import Sighting, sightings

ExposureKey: TypeAlias = tuple[str, str, int, int, str, str]
"""An :class:`~eventstore.counts.ExposureCount` up to what is counted."""

EventKey: TypeAlias = tuple[str, str, int]

_MAX_LOSSES = 10_000
"""Different ones: reached only where the database is away for days."""


_MAX_SIGHTINGS = 20_000
"""Different ones, of all environments: a sample may be smaller where contexts are large."""


class _EventSums:
    """A tracked event's sums; mutable, for one message holds hundreds of the same name."""

    __slots__ = ("last_ms", "least", "most", "times", "total", "valued")

    def __init__(self) -> None:
        self.times = self.valued = self.last_ms = 0
        self.total = 0.0
        self.least: float | None = None
        self.most: float | None = None

    def add(self, value: float | None, at_ms: int) -> None:
        self.times += 1
        self.last_ms = max(self.last_ms, at_ms)
        if value is not None:
            self.valued += 1
            self.total += value
            self.least = value if self.least is None else min(self.least, value)
            self.most = value if self.most is None else max(self.most, value)


class Tally:
    """The sums of all environments."""

    __slots__ = ("_contexts", "_events", "_exposures", "_losses", "_sightings")

    def __init__(self) -> None:
        self._exposures: dict[ExposureKey, tuple[int, int]] = {}
        self._events: dict[EventKey, _EventSums] = {}
        self._losses: Counter[tuple[str, int, What, LossReason]] = Counter()
        self._contexts: Counter[str] = Counter()
        self._sightings: Counter[tuple[str, int, Sighting]] = Counter()

    def __len__(self) -> int:
        return len(self._exposures) + len(self._events) + len(self._losses) + len(self._sightings)

    def __contains__(self, key: ExposureKey | EventKey) -> bool:
        return key in self._exposures or key in self._events

    @property
    def sums(self) -> int:
        """Of exposures and of events, how many different ones there are."""
        return len(self._exposures) + len(self._events)

    def add_exposures(self, key: ExposureKey, times: int, at_ms: int) -> None:
        """Add to a sum."""
        known, last_ms = self._exposures.get(key, (0, 0))
        self._exposures[key] = min(known + times, MAX_COUNT), max(last_ms, at_ms)

    def add_event(self, key: EventKey, value: float | None, at_ms: int) -> None:
        """Add an event, with its value where it has one."""
        sums = self._events.get(key)
        if sums is None:
            sums = self._events[key] = _EventSums()
        sums.add(value, at_ms)

    def lose(
        self, environment_id: str, slot_s: int, what: What, reason: LossReason, times: int
    ) -> None:
        """Add to what was lost."""
        key = (environment_id, slot_s, what, reason)
        if key in self._losses or len(self._losses) < _MAX_LOSSES:
            self._losses[key] = min(self._losses[key] + times, MAX_COUNT)

    def sampled(self, environment_id: str) -> int:
        """Of how many contexts of an environment it holds what they show."""
        return self._contexts[environment_id]

    def sample(self, environment_id: str, slot_s: int, context: Context, *, hashed: bool) -> None:
        """Add what a context shows."""
        self._contexts[environment_id] += 1
        for sighting in sightings(context, environment_id, hashed=hashed):
            key = (environment_id, slot_s, sighting)
            if key in self._sightings or len(self._sightings) < _MAX_SIGHTINGS:
                self._sightings[key] += 1

    def rows(self) -> Iterator[Row]:
        """All of it, in no order. Nothing may be added while it is read."""
        for exposed, (times, last_ms) in self._exposures.items():
            yield ExposureCount(*exposed, times, last_ms)
        for tracked, sums in self._events.items():
            yield EventCount(
                *tracked, sums.times, sums.valued, sums.total, sums.least, sums.most, sums.last_ms
            )
        for lost, times in self._losses.items():
            yield LossCount(*lost, times)
        for (environment_id, slot_s, sighting), times in self._sightings.items():
            kind, attribute, of_type, value = sighting
            if value is None:
                yield SeenAttribute(environment_id, kind, attribute, of_type, times, slot_s)
            else:
                yield SeenValue(environment_id, kind, attribute, of_type, value, times, slot_s)


class Distinct:
    """How many different sums each environment has begun in the present slot.

    Counted by server keys and by client keys apart, so that nobody who makes things up with a
    public key takes the room of what servers say.
    """

    __slots__ = ("_begun", "_slot_s")

    def __init__(self) -> None:
        self._slot_s = 0
        self._begun: dict[Hashable, set[int]] = {}

    def admit(self, slot_s: int, teller: Hashable, key: Hashable, most: int) -> bool:
        """Whether a sum may be added to: it was begun, or there is room for another one."""
        if slot_s != self._slot_s:
            self._slot_s = slot_s
            self._begun.clear()
        begun = self._begun.setdefault(teller, set())
        mark = hash(key)
        if mark not in begun:
            if len(begun) >= most:
                return False
            begun.add(mark)
        return True
