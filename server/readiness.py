"""What `/readyz` says: ready once synchronised since start; what is stale afterwards.

Readiness is about this process: it is ready when it has once reached the database and Redis and
every environment's ruleset was there. Later trouble with either is told, but is no reason to send
ten thousand sockets elsewhere: they would find the same trouble there.
"""

from __future__ import annotations

import asyncio
import time

import structlog
from redis.exceptions import RedisError

from eventstore.errors import StoreError
from eventstore.log import SYSTEM_LOG, Head
from eventstore.store import EventStore
from projections.rulesets import Rulesets
from projections.script import RedisClient
from server.writing.errors import LogPoisoned, LogUnknown, WritingError
from server.writing.writers import Writers
from streaming.gateway import Gateway

log = structlog.get_logger(__name__)


POLL_S = 0.02
TROUBLE = (StoreError, WritingError, RedisError, OSError)
"""What asking PostgreSQL and Redis may raise."""


class RulesetsPresence:
    """Whether every environment of every project has its ruleset in Redis."""

    def __init__(self, store: EventStore, writers: Writers, rulesets: Rulesets) -> None:
        self._store = store
        self._writers = writers
        self._rulesets = rulesets
        self._answer = False
        self._looked_at_s = float("-inf")
        self._asking = asyncio.Lock()

    async def complete(self) -> bool:
        """True where none is missing; False also where PostgreSQL or Redis cannot be asked."""
        came_at_s = time.monotonic()
        async with self._asking:
            # Whoever waited meanwhile shares the answer of the first that looks after they came.
            if self._looked_at_s < came_at_s:
                self._looked_at_s = time.monotonic()
                self._answer = await self._look()
            return self._answer

    async def is_current(self, environment_id: str) -> bool:
        """Whether Redis has all that the log holds of an environment, as of this call.

        Of an environment that Redis does not know: whether it knows all that there are.
        """
        try:
            meta = await self._rulesets.meta(environment_id)
            if meta is None:
                return await self.complete()
            head = await self._store.head(meta.project)
            meta = await self._rulesets.meta(environment_id)
        except TROUBLE:
            return False
        return meta is not None and meta.epoch == head.epoch and meta.seq >= head.last_seq

    async def is_gone(self, environment_id: str) -> bool:
        """Whether there is no such environment any more. False where that cannot be found out."""
        try:
            meta = await self._rulesets.meta(environment_id)
            if meta is None:
                # It may just be rebuilt: nothing is gone where anything is missing.
                return await self.complete() and await self._rulesets.meta(environment_id) is None
            head = await self._store.head(meta.project)
            folded = await self._writers.state(meta.project, head.last_seq)
        except LogUnknown:
            return True  # the project was deleted, and its environments with it
        except TROUBLE:
            return False
        return all(row.id != environment_id for row in folded.state.environments.values())

    async def wait_complete(self) -> None:
        """Wait until none is missing; the caller bounds it."""
        while not await self._look():  # noqa: ASYNC110 - Redis has no event for it
            await asyncio.sleep(POLL_S)

    async def _look(self) -> bool:
        try:
            for head in await self._store.heads():
                if head.log_id != SYSTEM_LOG and not await self._has_rulesets(head):
                    return False
        except TROUBLE:
            return False
        return True

    async def _has_rulesets(self, head: Head) -> bool:
        try:
            folded = await self._writers.state(head.log_id, head.last_seq)
        except (LogPoisoned, LogUnknown):
            return True  # a poisoned log delays no other; one that has just ended has none
        for environment in list(folded.state.environments.values()):
            if await self._rulesets.meta(environment.id) is None:
                return False
        return True


class Readiness:
    """The checks behind `/readyz`, each None when well and a sentence when not."""

    def __init__(
        self, store: EventStore, redis: RedisClient, presence: RulesetsPresence, gateway: Gateway
    ) -> None:
        self._store = store
        self._redis = redis
        self._presence = presence
        self._gateway = gateway
        self._synchronised = False
        """Set once every ruleset was there, and never unset."""

    async def synchronised(self) -> str | None:
        """Ready once every ruleset was seen since start, until the gateway leaves."""
        if self._gateway.draining:
            return "this process is going away"
        self._synchronised = self._synchronised or await self._presence.complete()
        if not self._synchronised:
            return "not every environment has its ruleset in Redis yet"
        missing = self._gateway.status().unsynchronised
        return f"{len(missing)} environments were not read yet" if missing else None

    async def database(self) -> str | None:
        """Whether PostgreSQL answers."""
        try:
            await self._store.positions()
        except StoreError as error:
            log.warning("database_not_available", error=str(error))
            return "PostgreSQL is not available"
        return None

    async def redis(self) -> str | None:
        """Whether Redis answers."""
        try:
            await self._redis.ping()
        except (RedisError, OSError) as error:
            log.warning("redis_not_available", error=str(error))
            return "Redis is not available"
        return None

    async def streams(self) -> str | None:
        """Whether all environments in use are in touch with Redis."""
        stale = self._gateway.status().stale
        return f"{len(stale)} environments are served from memory" if stale else None
