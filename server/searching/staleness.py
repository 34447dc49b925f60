"""Which flags have done their work: what everybody gets from them, and since when.

A flag from which everybody gets the same, everywhere, decides nothing any more: what it gives can
be written into the code in its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple, TypeAlias

from halyard_protocol.ruleset import TOTAL_WEIGHT, Ramp, Serve

from domain.state import FlagSettings

Staleness: TypeAlias = Literal["active", "stale", "unused", "expired", "permanent", "archived"]

STALE_AFTER: Final = timedelta(days=30)
"""Without a change."""
PERMANENT: Final = "permanent"
"""The tag of flags that are meant to stay."""


class Certainty(NamedTuple):
    """What everybody gets in one environment; ``variation`` is None for the caller's default."""

    variation: str | None
    since: datetime | None
    """From when on, where a ramp has to end first."""

    def holds(self, now: datetime) -> bool:
        """Whether that is so already."""
        return self.since is None or self.since <= now


def certainty(settings: FlagSettings) -> Certainty | None:
    """What everybody gets, where every way through the settings has the same end."""
    if not settings.enabled:
        return Certainty(settings.off_variation, None)
    return everywhere(_ends(settings))


def everywhere(ends: Iterable[Certainty | None]) -> Certainty | None:
    """What several have in common, once it holds for all of them; None for no common end."""
    found: Certainty | None = None
    for end in ends:
        if end is None or (found is not None and end.variation != found.variation):
            return None
        if found is None or found.since is None or (end.since and end.since > found.since):
            found = end
    return found


def _ends(settings: FlagSettings) -> Iterator[Certainty]:
    if settings.prerequisites:
        yield Certainty(settings.off_variation, None)
    for target in settings.targets:
        if target.keys:
            yield Certainty(target.variation, None)
    for rule in settings.rules:
        if rule.enabled:
            yield from _ends_of(rule.serve)
    yield from _ends_of(settings.fallthrough)


def _ends_of(serve: Serve) -> Iterator[Certainty]:
    rollout = serve.rollout
    if rollout is None:
        yield Certainty(serve.variation, None)
    elif rollout.ramp is None:
        yield from (Certainty(each.variation, None) for each in rollout.buckets if each.weight)
    else:
        yield from _ends_of_ramp(rollout.ramp)


def _ends_of_ramp(ramp: Ramp) -> Iterator[Certainty]:
    """A ramp that ended serves its last share for good."""
    if ramp.end > 0:
        yield Certainty(ramp.variation, ramp.to)
    if ramp.end < TOTAL_WEIGHT:
        yield Certainty(ramp.otherwise, ramp.to)
