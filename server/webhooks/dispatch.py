"""A process's part in delivering: which webhooks have something to be done, each in its task.

Word that a log has grown makes it look at once; a look every other second is the net beneath that,
and what finds retries, new webhooks, and those of a process that has died.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from eventstore.errors import StoreError
from eventstore.webhooks import Lease, Webhooks
from server.webhooks.attempts import Attempts
from server.webhooks.counters import WebhookCounters
from server.webhooks.courier import Courier, Means
from server.writing.errors import WritingError

NET_S: Final = 2.0
PACE_S: Final = 0.02
"""Between two looks, however much happens."""
MAX_BY_HAND: Final = 8
MAX_BUSY: Final = 16
"""Webhooks that one process works on at a time."""
UPKEEP_S: Final = 600.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WebhookDesk:
    """What the HTTP API needs of it."""

    table: Webhooks
    attempts: Attempts
    look: Callable[[], None]
    """Says that there is something to be done."""
    by_hand: asyncio.Semaphore
    """Bounds the attempts that people ask for, of which each may take a while."""


class Dispatch:
    """Leases webhooks and has couriers work on them.

    Life cycle: :meth:`run` until cancelled; then all couriers let go of what they hold.
    """

    def __init__(self, means: Means, net_s: float = NET_S) -> None:
        self._means = means
        self._table = means.attempts.table
        self._net_s = net_s
        self._look = asyncio.Event()
        self._by_hand = asyncio.Semaphore(MAX_BY_HAND)
        self._logs: frozenset[str] = frozenset()
        """Those that had webhooks when last looked."""
        self._tidied_s = time.monotonic() - UPKEEP_S
        self._renewed_s = 0.0

    @property
    def counters(self) -> WebhookCounters:
        """Those of this process."""
        return self._means.counters

    @property
    def desk(self) -> WebhookDesk:
        """What the HTTP API needs."""
        return WebhookDesk(self._table, self._means.attempts, self._look.set, self._by_hand)

    def nudge(self, log_id: str, _seq: int) -> None:
        """Somebody says that a log has grown."""
        if log_id in self._logs:
            self._look.set()

    async def run(self) -> None:
        """Deliver until cancelled, whatever becomes of the database or of receivers."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._turn(tasks)
                await asyncio.sleep(PACE_S)
                await self._wait()

    async def _turn(self, tasks: asyncio.TaskGroup) -> None:
        counters = self._means.counters
        self._look.clear()
        try:
            await self._survey()
            free = MAX_BUSY - counters.busy
            if not free:
                return
            # Each look leases under a name of its own: a courier that slept through the end of its
            # lease cannot be taken for the one that has it by then.
            for lease in await self._table.lease(uuid.uuid4().hex, self._means.lease, free):
                counters.busy += 1
                tasks.create_task(self._work(lease), name=f"webhook {lease.webhook}")
        except StoreError as error:
            log.warning("webhooks were not looked at", error=repr(error))

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._net_s):
                await self._look.wait()
        except TimeoutError:
            pass  # the net

    async def _survey(self) -> None:
        now_s, counters = time.monotonic(), self._means.counters
        if now_s - self._renewed_s < self._net_s:
            return
        self._renewed_s = now_s
        self._logs = await self._table.logs()
        lag = await self._table.lag()
        counters.behind, counters.failing, counters.failing_s = (
            lag.behind,
            lag.failing,
            lag.failing_s,
        )
        if now_s - self._tidied_s >= UPKEEP_S:
            self._tidied_s = now_s
            await self._table.forget_deliveries()

    async def _work(self, lease: Lease) -> None:
        """The border of one webhook: what goes wrong with it is not another's trouble."""
        counters = self._means.counters
        try:
            await Courier(self._means, lease).work()
        except (StoreError, WritingError) as error:
            counters.faults += 1
            log.warning("webhook put off", webhook=lease.webhook, error=repr(error))
        except Exception:
            counters.faults += 1
            log.exception("webhook put off", project=lease.log_id, webhook=lease.webhook)
        finally:
            counters.busy -= 1
            # It may have gone on while this was on its last page, and there is room for another.
            self._look.set()
