"""What gateways count, kept in PostgreSQL: written as it comes, and forgotten when it is old."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import structlog

from eventstore.analytics import Analytics
from eventstore.contexts import ContextSamples
from eventstore.counts import CountBatch, SeenAttribute, SeenValue
from eventstore.errors import StoreError

UPKEEP_S = 3600.0
_PRUNE_S = 60.0
"""One environment's sample is pruned this often at most, while it grows."""

log = structlog.get_logger(__name__)


class CountKeeper:
    """Takes the batches of one process, and keeps house. Several processes may do so at once.

    Args:
        is_gone: whether there is no such environment any more; False where that cannot be said.
    """

    def __init__(
        self,
        analytics: Analytics,
        samples: ContextSamples,
        kept_days: int,
        is_gone: Callable[[str], Awaitable[bool]],
    ) -> None:
        self._analytics = analytics
        self._samples = samples
        self._kept_days = kept_days
        self._is_gone = is_gone
        self._pruned_s: dict[str, float] = {}
        """When the sample of each environment was pruned, within the last minute."""

    async def write(self, batch: CountBatch) -> None:
        """Add a batch, once. Raises :class:`~eventstore.errors.StoreError`."""
        await self._analytics.write(batch)
        sampled = {
            row.environment_id for row in batch.rows if isinstance(row, SeenAttribute | SeenValue)
        }
        try:
            await self._prune(sampled)
        except StoreError as error:  # the batch is in all the same
            log.warning("samples were not pruned", error=repr(error))

    async def _prune(self, environment_ids: set[str]) -> None:
        now_s = time.monotonic()
        self._pruned_s = {
            each: at_s for each, at_s in self._pruned_s.items() if now_s - at_s < _PRUNE_S
        }
        for environment_id in environment_ids - self._pruned_s.keys():
            self._pruned_s[environment_id] = now_s
            await self._samples.prune(environment_id)

    async def run(self) -> None:
        """Make the tables of coming days and forget what is over, every hour, until cancelled."""
        while True:
            await self.keep_house(datetime.now(UTC))
            await asyncio.sleep(UPKEEP_S)

    async def keep_house(self, now: datetime) -> None:
        """Do so once. What the database does not allow at present is left to the next time."""
        try:
            await self._analytics.prepare_days(now.date())
            dropped = await self._analytics.forget_before(
                now.date() - timedelta(days=self._kept_days)
            )
            for environment_id in await self._samples.environments():
                if await self._is_gone(environment_id):
                    await self._samples.erase(environment_id)
                    log.info("sampled contexts erased", environment=environment_id)
        except StoreError as error:
            log.warning("counts were not tidied up", error=repr(error))
        else:
            if dropped:
                log.info("old counts forgotten", tables=dropped)
