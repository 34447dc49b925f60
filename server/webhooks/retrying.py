"""What follows from one attempt to deliver. Pure: the time and the chance arrive as arguments.

A failure is followed by a pause that doubles, from seconds to an hour, give or take a fifth so that
many webhooks of one receiver do not come back together. A receiver that says when to come back is
believed, up to a day. What failed for too long is dead; so, at once, is what is gone (410).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final, Literal, TypeAlias

import msgspec

FIRST_PAUSE_S: Final = 5.0
LONGEST_PAUSE_S: Final = 3_600.0
SPREAD: Final = 0.2
LONGEST_WISH_S: Final = 86_400.0
GONE: Final = 410

Outcome: TypeAlias = Literal["delivered", "failed", "gone"]


class Again(msgspec.Struct, frozen=True):
    """To be tried at ``at``."""

    at: datetime


class Over(msgspec.Struct, frozen=True):
    """To be disabled."""

    reason: Literal["gone", "dead"]


def outcome_of(status: int | None) -> Outcome:
    """What a status says; None where there was no answer."""
    if status is not None and 200 <= status < 300:
        return "delivered"
    return "gone" if status == GONE else "failed"


def pause_s(attempts: int, chance: float, wish_s: float | None = None) -> float:
    """How long to wait after so many attempts, at least 1; ``chance`` is from 0 to 1."""
    doubled = FIRST_PAUSE_S * 2.0 ** min(attempts - 1, 30)
    spread = 1 + SPREAD * (2 * chance - 1)
    own_s = min(doubled, LONGEST_PAUSE_S) * spread
    return max(own_s, min(wish_s or 0.0, LONGEST_WISH_S))


def next_step(
    status: int | None,
    *,
    attempts: int,
    failing_since: datetime,
    now: datetime,
    dead_after: timedelta,
    chance: float,
    retry_after: str | None = None,
) -> Again | Over:
    """What follows from an attempt that was not accepted, the last of ``attempts``."""
    if outcome_of(status) == "gone":
        return Over("gone")
    if now - failing_since >= dead_after:
        return Over("dead")
    wait_s = pause_s(attempts, chance, wish_of(retry_after, now))
    # Once more at the end of its time, however long the pause would have been.
    return Again(min(now + timedelta(seconds=wait_s), max(failing_since + dead_after, now)))


def wish_of(retry_after: str | None, now: datetime) -> float | None:
    """The header ``Retry-After``, in seconds from now; None where it says nothing."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return max(0.0, (at - now).total_seconds())
