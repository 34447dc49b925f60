"""Whether what a client answers is up to date, and if not, since when and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from time import monotonic


class State(StrEnum):
    """The four states of a client."""

    INITIALIZING = "INITIALIZING"
    """No ruleset yet: every evaluation answers the caller's default."""
    READY = "READY"
    """In step with the server."""
    STALE = "STALE"
    """Answers from the last known ruleset; changes may be missing. Trying to catch up."""
    OFFLINE = "OFFLINE"
    """Closed, or refused for good: answers from the last known ruleset and will not connect."""


@dataclass(frozen=True, slots=True)
class Status:
    """A client's state."""

    state: State
    since: datetime
    """In UTC. STALE: the last instant for which the ruleset is known to have been complete."""
    reason: str = ""
    """What went wrong last, in words; empty while nothing is wrong."""


def wall_clock(at_s: float) -> datetime:
    """The date and time of an instant of the monotonic clock, as well as it can be known."""
    return datetime.now(UTC) - timedelta(seconds=monotonic() - at_s)
