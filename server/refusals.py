"""Remembers what accounts were refused: noted at once, written together a moment later.

Nobody waits for it. The same thing, refused to the same credential, is one row that says how often.
What does not fit, and what the database does not take, is lost, and the loss is counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import structlog

from eventstore.errors import StoreError
from eventstore.refusals import Refusals, Refused, RefusedAction
from server.writing.errors import WritingError

MAX_WAITING = 1_000
"""Different ones between two writes."""
GATHERED_S = 1.0
TIDIED_EVERY_S = 3600.0
TIDIED_AFTER = 1_000
"""Rows of this process: in between, so many more than the bound may be there."""
KEPT_DAYS = 90

log = structlog.get_logger(__name__)


class RefusalKeeper:
    """Of one process; several may write at once.

    Args:
        address_days: how long addresses are kept.

    Attributes:
        recorded, lost: how many refusals were written, and how many could not be.
    """

    def __init__(self, stored: Refusals, address_days: Callable[[], Awaitable[int]]) -> None:
        self.stored = stored
        self.recorded = 0
        self.lost = 0
        self._address_days = address_days
        self._waiting: dict[RefusedAction, tuple[int, datetime]] = {}
        self._noted = asyncio.Event()
        self._writing = asyncio.Lock()
        self._rows_since_tidied = 0

    def note(self, action: RefusedAction) -> None:
        """It was refused now."""
        before = self._waiting.get(action)
        if before is None and len(self._waiting) >= MAX_WAITING:
            self.lost += 1
            return
        self._waiting[action] = (1 if before is None else before[0] + 1, datetime.now(UTC))
        self._noted.set()

    async def run(self) -> None:
        """Write what was noted, and forget what is old, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._write_on())
            tasks.create_task(self._tidy_on())

    async def finish(self, within_s: float) -> None:
        """Write what is waiting, or give it up after so long."""
        try:
            async with asyncio.timeout(within_s):
                await self.write()
        except TimeoutError:
            log.warning("refusals were not written in time")

    async def write(self) -> None:
        """Write what is waiting now; what the database does not take is lost."""
        async with self._writing:
            self._noted.clear()
            waiting, self._waiting = self._waiting, {}
            if not waiting:
                return
            number = sum(times for times, _ in waiting.values())
            recorded = 0
            try:
                await self.stored.add([Refused(each, *of) for each, of in waiting.items()])
                recorded = number
            except StoreError as error:
                log.warning("refusals were not recorded", number=number, error=repr(error))
            finally:  # also where it takes too long at the end
                self.recorded += recorded
                self.lost += number - recorded
            self._rows_since_tidied += len(waiting)
            if self._rows_since_tidied >= TIDIED_AFTER:
                await self.tidy(datetime.now(UTC))

    async def tidy(self, now: datetime) -> None:
        """Forget what is over. What the database does not allow is left to the next time."""
        self._rows_since_tidied = 0
        try:
            addresses_kept = timedelta(days=await self._address_days())
            await self.stored.tidy(now - timedelta(days=KEPT_DAYS), now - addresses_kept)
        except (StoreError, WritingError) as error:
            log.warning("refusals were not tidied up", error=repr(error))

    async def _write_on(self) -> None:
        while True:
            await self._noted.wait()
            await asyncio.sleep(GATHERED_S)
            await self.write()

    async def _tidy_on(self) -> None:
        while True:
            await self.tidy(datetime.now(UTC))
            await asyncio.sleep(TIDIED_EVERY_S)
