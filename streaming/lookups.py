"""Environments that are not in use here, found out about for all who ask at once.

Anybody may make up ids, and what it costs to be sure that there is no such environment is a
question to the database. A bucket of tokens would not do: made-up ids would take the tokens of
honest ones. So honest ids are told apart first, which one small read of Redis does for each, and
only those that Redis does not know wait for a verdict, all of them for the same one. Verdicts are
:data:`VERDICT_S` apart. Whatever is asked, one verdict and :data:`AT_ONCE` reads are under way.

That an id is wrong is said only where Redis, read after the verdict, still does not know it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

import msgspec
import structlog
from halyard_protocol.close_codes import CloseCode
from redis.exceptions import RedisError

from streaming.caller import Caller
from streaming.environment import BUSY, UNCERTAIN
from streaming.live_keys import REFUSED

if TYPE_CHECKING:
    from projections.rulesets import Rulesets
    from streaming.connection import Connection
    from streaming.counters import Counters

Visitor: TypeAlias = "Connection | Caller"
Visitors: TypeAlias = dict[str, list[Visitor]]
"""By the id that they came with."""

MOST_IDS = 1_000
"""That wait for a first read, and for a verdict: more are asked to come back."""
AT_ONCE = 16
VERDICT_S = 0.5
NO_ENVIRONMENT = "-" * 12
"""An id that none has: asked about it, whoever knows the log speaks of all that there are."""

TROUBLE = (RedisError, OSError, msgspec.DecodeError)
"""What reading may raise: no answer, or one that cannot be read."""

log = structlog.get_logger("halyard.stream")


class Lookups:
    """See the module.

    Args:
        found: called with the id of an environment that there is, and one who asked for it.
        is_current: as the gateway's.
    """

    def __init__(
        self,
        rulesets: Rulesets,
        counters: Counters,
        *,
        found: Callable[[str, Visitor], None],
        is_current: Callable[[str], Awaitable[bool]],
    ) -> None:
        self._rulesets = rulesets
        self._counters = counters
        self._found = found
        self._is_current = is_current
        self._asked: Visitors = {}
        self._missing: Visitors = {}
        self._some_asked = asyncio.Event()
        self._some_missing = asyncio.Event()

    def ask(self, environment_id: str, visitor: Visitor) -> None:
        """Somebody has come with a key of an environment that is not in use here."""
        if not _put(self._asked, environment_id, [visitor]):
            self._counters.lookups_refused += 1
            visitor.close(CloseCode.INTERNAL, BUSY)
        self._some_asked.set()

    async def run(self) -> None:
        """Find out until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tell_apart())
            tasks.create_task(self._give_verdicts())

    async def _tell_apart(self) -> None:
        while True:
            await self._some_asked.wait()
            self._some_asked.clear()
            asked, self._asked = self._asked, {}
            for environment_id, visitors in (await self._unknown(asked)).items():
                if not _put(self._missing, environment_id, visitors):
                    self._counters.lookups_refused += 1
                    _refuse(visitors, CloseCode.INTERNAL, BUSY)
                self._some_missing.set()

    async def _give_verdicts(self) -> None:
        while True:
            await self._some_missing.wait()
            self._some_missing.clear()
            missing, self._missing = self._missing, {}
            current = await self._is_current(NO_ENVIRONMENT)
            for visitors in (await self._unknown(missing)).values():
                if current:
                    _refuse(visitors, CloseCode.KEY_REFUSED, REFUSED)
                else:
                    _refuse(visitors, CloseCode.INTERNAL, UNCERTAIN)
            await asyncio.sleep(VERDICT_S)

    async def _unknown(self, asked: Visitors) -> Visitors:
        """Hand on whom Redis knows; the others."""
        unknown: Visitors = {}
        places = asyncio.Semaphore(AT_ONCE)

        async def look(environment_id: str) -> None:
            async with places:
                self._counters.lookups += 1
                visitors = asked[environment_id]
                try:
                    there_is = await self._rulesets.meta(environment_id) is not None
                except TROUBLE as error:
                    self._counters.read_failures += 1
                    log.warning("looking up failed", error=repr(error))
                    _refuse(visitors, CloseCode.INTERNAL, UNCERTAIN)
                    return
                if not there_is:
                    unknown[environment_id] = visitors
                    return
                for visitor in visitors:
                    if visitor.is_open:
                        self._found(environment_id, visitor)

        async with asyncio.TaskGroup() as tasks:
            for environment_id in asked:
                tasks.create_task(look(environment_id))
        return unknown


def _put(waiting: Visitors, environment_id: str, visitors: list[Visitor]) -> bool:
    there = waiting.get(environment_id)
    if there is not None:
        there += visitors
    elif len(waiting) < MOST_IDS:
        waiting[environment_id] = visitors
    else:
        return False
    return True


def _refuse(visitors: Iterable[Visitor], code: CloseCode, reason: str) -> None:
    for visitor in visitors:
        if visitor.is_open:
            visitor.close(code, reason)
