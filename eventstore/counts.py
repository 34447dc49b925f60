"""What gateways count and hand over to be kept: rows, and the batches that they travel in.

The fields of a row are the columns of its statement, in order. A ``slot_s`` is the beginning of the
:data:`SLOT_S` that are counted together, in seconds since the epoch. Texts hold no null character,
which PostgreSQL cannot store, and no row comes twice in a batch.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

SLOT_S: Final = 600
"""Ten minutes: fine enough to watch a rollout, and a week of them is still one answer."""

MAX_COUNT: Final = 2**53 - 1
"""Where sums stop."""

What: TypeAlias = Literal["exposures", "events"]

LossReason: TypeAlias = Literal["sdk", "unknown", "invalid", "flood", "bound", "database"]
"""Why something was not counted: the SDK could not keep it, no such flag is known (or not to that
kind of key), it is not what it must be, one connection sent too much, there were too many
different ones, the database was away for too long."""


class ExposureCount(NamedTuple):
    """How often one version of a flag was answered with one variation for one reason."""

    environment_id: str
    flag: str
    slot_s: int
    version: int
    variation: str
    """Empty where the caller's default was served."""
    reason: str
    times: int
    last_at_ms: int


class EventCount(NamedTuple):
    """How often something was tracked; the last five are of those that had a value."""

    environment_id: str
    name: str
    slot_s: int
    times: int
    valued: int
    total: float
    least: float | None
    most: float | None
    last_at_ms: int


class LossCount(NamedTuple):
    """How many exposures (evaluations) or tracking events were lost, and why."""

    environment_id: str
    slot_s: int
    what: What
    reason: LossReason
    times: int


class SeenAttribute(NamedTuple):
    """In how many sampled contexts of a kind an attribute was of one type."""

    environment_id: str
    kind: str
    attribute: str
    type: str
    seen: int
    slot_s: int


class SeenValue(NamedTuple):
    """In how many of them it had one value."""

    environment_id: str
    kind: str
    attribute: str
    type: str
    value: str
    seen: int
    slot_s: int


Row: TypeAlias = ExposureCount | EventCount | LossCount | SeenAttribute | SeenValue


class CountBatch(msgspec.Struct, frozen=True):
    """Rows that are written together, once, however often that is tried."""

    id: str
    """A UUID."""
    rows: tuple[Row, ...]
