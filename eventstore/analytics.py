"""What SDKs have counted: writing it once, reading it, forgetting it.

This is no part of the log. Counts may be lost, and the loss is counted in turn; they are added up
where they are stored, and grow old. Tables are partitioned by day, see ``0003_analytics.sql``.

Concurrency: any number of tasks and processes may write, read and forget at once. Whatever is
raised is a :class:`~eventstore.errors.StoreError`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import asyncpg
import msgspec

from eventstore.counts import (
    CountBatch,
    EventCount,
    ExposureCount,
    LossCount,
    LossReason,
    Row,
    SeenAttribute,
    SeenValue,
    What,
)
from eventstore.errors import StoreConflict, translating, translating_block
from eventstore.statements import statement

DAYS_AHEAD: Final = 3
"""For which tables are made before anything is counted there."""

BATCHES_KEPT: Final = timedelta(days=2)
"""How long it is known which batches were written: longer than anybody tries to write one."""

MAX_GROUPS: Final = 5_000
"""In one answer of the database; the largest are kept."""

MAX_LINES: Final = 20
"""Variations of one series, likewise."""

_STATEMENTS: Final[tuple[tuple[type[Row], str], ...]] = (
    (ExposureCount, "add_exposures"),
    (EventCount, "add_events"),
    (LossCount, "add_losses"),
    (SeenAttribute, "add_attributes"),
    (SeenValue, "add_values"),
)
"""In the order in which every writer takes its locks."""


class Span(msgspec.Struct, frozen=True):
    """The times, aware, from ``start`` until before ``end``."""

    start: datetime
    end: datetime


class Total(msgspec.Struct, frozen=True):
    """The sum of one group, or of all where nothing is named."""

    variation: str | None
    """Empty for the caller's default."""
    reason: str | None
    version: int | None
    count: int
    last_at: datetime | None
    """None where nothing was counted."""


class Point(msgspec.Struct, frozen=True):
    """The sum of one variation in one step of a series."""

    at: datetime
    variation: str
    count: int


class FlagTotal(msgspec.Struct, frozen=True):
    """The sum of one flag."""

    flag: str
    count: int
    last_at: datetime


class EventTotal(msgspec.Struct, frozen=True):
    """The sums of one tracked event; ``total``, ``least`` and ``most`` of the ``valued``."""

    name: str
    count: int
    valued: int
    total: float
    least: float | None
    most: float | None
    last_at: datetime


class LossTotal(msgspec.Struct, frozen=True):
    """The sum of what was lost for one reason."""

    what: What
    reason: LossReason
    count: int


class Analytics:
    """See the module."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._days: set[date] = set()
        """Those whose tables were there when last looked."""

    # --- writing

    async def write(self, batch: CountBatch) -> bool:
        """Add a batch to what is there; False where that had been done before.

        All of it in one transaction, which also remembers the batch's id: where the outcome is
        unknown, write the same batch again.
        """
        days = {_day(row.slot_s) for row in batch.rows}
        try:
            await self._ensure(days)
            return await self._write(batch)
        except StoreConflict:
            # Somebody has forgotten a day since this looked.
            self._days.clear()
            await self._ensure(days)
            return await self._write(batch)

    async def _write(self, batch: CountBatch) -> bool:
        async with (
            translating_block(self._pool.acquire()) as connection,
            translating_block(connection.transaction()),
        ):
            with translating:
                if not await connection.fetchval(statement("begin_batch"), batch.id):
                    return False
                for of, name in _STATEMENTS:
                    rows = [row for row in batch.rows if type(row) is of]
                    if rows:
                        columns = [list(column) for column in zip(*rows, strict=True)]
                        await connection.execute(statement(name), *columns)
        return True

    async def _ensure(self, days: Iterable[date]) -> None:
        missing = sorted(set(days) - self._days)
        if missing:
            await self._value("ensure_days", missing)
            self._days.update(missing)

    # --- keeping house

    async def prepare_days(self, today: date) -> None:
        """Make the tables of today and of the next few days."""
        await self._ensure(today + timedelta(days=ahead) for ahead in range(DAYS_AHEAD + 1))

    async def forget_before(self, day: date) -> int:
        """Forget everything that is older than a day; answers how many tables were dropped."""
        self._days = {each for each in self._days if each >= day}
        dropped = await self._value("forget_days", day)
        await self._value("forget_batches", BATCHES_KEPT)
        await self._value("age_attributes", day)
        await self._value("age_values", day)
        return int(dropped)

    # --- reading

    async def exposure_totals(self, environment_id: str, flag: str, span: Span) -> list[Total]:
        """All exposures of a flag, and those by variation, by reason and by version."""
        rows = await self._rows(
            "exposure_totals", environment_id, flag, span.start, span.end, MAX_GROUPS
        )
        return [Total(*row) for row in rows]

    async def exposure_series(
        self, environment_id: str, flag: str, span: Span, step: timedelta
    ) -> list[Point]:
        """The exposures of a flag by steps from the span's start, those without any left out.

        Of its :data:`MAX_LINES` largest variations.
        """
        rows = await self._rows(
            "exposure_series", environment_id, flag, span.start, span.end, step, MAX_LINES
        )
        return [Point(*row) for row in rows]

    async def exposures_by_flag(
        self, environment_id: str, span: Span, limit: int
    ) -> list[FlagTotal]:
        """The most exposed flags of an environment."""
        rows = await self._rows("exposures_by_flag", environment_id, span.start, span.end, limit)
        return [FlagTotal(*row) for row in rows]

    async def events_by_name(self, environment_id: str, span: Span, limit: int) -> list[EventTotal]:
        """The most frequent tracked events of an environment."""
        rows = await self._rows("events_by_name", environment_id, span.start, span.end, limit)
        return [EventTotal(*row) for row in rows]

    async def losses(self, environment_id: str, span: Span) -> list[LossTotal]:
        """What of an environment was not counted."""
        rows = await self._rows("losses", environment_id, span.start, span.end)
        return [LossTotal(*row) for row in rows]

    async def _rows(self, name: str, *arguments: Any) -> list[asyncpg.Record]:
        with translating:
            rows: list[asyncpg.Record] = await self._pool.fetch(statement(name), *arguments)
            return rows

    async def _value(self, name: str, *arguments: Any) -> Any:
        with translating:
            return await self._pool.fetchval(statement(name), *arguments)


def _day(slot_s: int) -> date:
    return datetime.fromtimestamp(slot_s, UTC).date()
