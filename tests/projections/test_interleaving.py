"""Two projectors, rebuilds, and every fault of Redis and PostgreSQL, in any order.

Before each script that a projector or a rebuild runs, anything may happen: the log grows, the other
projector makes a whole round, Redis is flushed or goes back to an old dump, an answer is lost. The
choices come from a seed, so that a failure can be repeated.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, cast

import asyncpg
import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from eventstore.store import EventStore
from projections.log_projector import LogProjector
from projections.reading import HistoryForked
from projections.rebuild import rebuild
from projections.rulesets import Rulesets, wire_epoch_order
from projections.verify import environment_ids
from tests.support.project_logs import deltas_of
from tests.support.projecting import Dump, StoredLog, assert_exact, stored_log

STEPS = 40
DEEPEST = 3


class InterruptedRedis(Redis):
    """Lets something else happen before each script, and loses some of the answers."""

    interrupt: Callable[[], Awaitable[bool]]
    """Answers whether the answer of the script is to be lost."""

    async def evalsha(self, *arguments: Any) -> Any:
        lost = await self.interrupt()
        answer = await super().evalsha(*arguments)
        if lost:
            raise RedisConnectionError("the answer was lost")
        return answer


class World:
    def __init__(
        self, draw: random.Random, store: EventStore, pool: asyncpg.Pool, redis: InterruptedRedis
    ) -> None:
        self.draw = draw
        self.store = store
        self.pool = pool
        self.redis = redis
        self.plain: Redis
        self.log: StoredLog
        self.dump = Dump({})
        self.depth = 0
        self.busy: list[LogProjector] = []
        """In the middle of a round."""
        self.restores = False
        self.quiet = False
        self.seen: dict[tuple[str, str, int], bytes] = {}
        """Each document that was ever readable, by wire epoch, name and version."""
        self.newest: dict[str, tuple[int, int]] = {}

    async def begin(self, plain: Redis) -> None:
        self.plain = plain
        self.log = await stored_log(self.store)
        self.projectors = [self.projector(), self.projector()]
        self.redis.interrupt = self.interrupt

    def projector(self) -> LogProjector:
        return LogProjector(self.store, self.redis, self.log.log_id)

    async def interrupt(self) -> bool:
        if self.quiet or self.depth >= DEEPEST or self.draw.random() < 0.6:
            return False
        await self.step()
        return self.draw.random() < 0.1

    async def step(self) -> None:
        self.depth += 1
        actions = [self.grow] * 4 + [self.round] * 5
        actions += [self.save, self.flush, self.revert, self.restart, self.rebuild, self.look]
        if self.restores:
            actions += [self.restore]
        await self.draw.choice(actions)()
        self.depth -= 1

    async def grow(self) -> None:
        for _ in range(self.draw.choice((1, 1, 2, 3))):
            self.log.log.do_any(self.draw, self.draw.choice((1, 1, 2)))
        await self.log.store_new()

    async def round(self) -> None:
        resting = [one for one in self.projectors if one not in self.busy]
        if not resting:
            return
        projector = self.draw.choice(resting)
        self.busy.append(projector)
        if self.draw.random() < 0.5:
            projector._keeper.forget()
        try:
            await projector.go_round()
        except RedisError as error:
            projector._note_trouble(error)
        finally:
            self.busy.remove(projector)

    async def save(self) -> None:
        self.dump = await Dump.of(self.plain)

    async def flush(self) -> None:
        await self.plain.flushall()

    async def revert(self) -> None:
        await self.dump.restore(self.plain)

    async def restart(self) -> None:
        self.projectors[self.draw.randrange(2)] = self.projector()

    async def rebuild(self) -> None:
        with suppress(RedisError, HistoryForked):
            await rebuild(self.store, self.redis, self.log.log_id)

    async def restore(self) -> None:
        ends = [delta[-1].seq for delta in deltas_of(self.log.log.events)]
        await self.log.truncate(self.pool, self.draw.choice(ends))
        if self.draw.random() < 0.5:
            await self.store.bump_epoch(self.log.log_id)

    async def look(self) -> None:
        """No document may change its bytes while wire epoch and version stay."""
        for env in await environment_ids(self.store, self.log.log_id):
            stored = await Rulesets(self.plain).read(env)
            if stored is None:
                continue
            wire = stored.meta.wire_epoch
            self.newest[env] = max(self.newest.get(env, (0, 0)), wire_epoch_order(wire))
            for name, body in stored.documents.items():
                version = int(body.rpartition(b'"version":')[2].split(b",")[0].rstrip(b"}"))
                known = self.seen.setdefault((wire, f"{env} {name}", version), body)
                assert self.restores or known == body

    async def end(self) -> None:
        """Whatever happened: two undisturbed rounds of each projector, and all is exact."""
        self.quiet = True
        for projector in self.projectors * 2:
            projector._keeper.forget()
            await projector.go_round()
        await self.look()
        await assert_exact(self.store, self.plain, self.log.log_id)
        for env in await environment_ids(self.store, self.log.log_id):
            meta = await Rulesets(self.plain).meta(env)
            assert meta is not None
            assert wire_epoch_order(meta.wire_epoch) >= self.newest.get(env, (0, 0))


@pytest.fixture
async def interrupted(redis_url: str) -> AsyncIterator[InterruptedRedis]:
    async with InterruptedRedis.from_url(redis_url) as client:
        yield cast("InterruptedRedis", client)


@pytest.mark.parametrize("restores", [False, True], ids=["", "with restores of PostgreSQL"])
@pytest.mark.parametrize("seed", range(8))
async def test_whatever_happens_rulesets_end_exact(
    *,
    store: EventStore,
    pool: asyncpg.Pool,
    redis_client: Redis,
    interrupted: InterruptedRedis,
    seed: int,
    restores: bool,
) -> None:
    world = World(random.Random(seed), store, pool, interrupted)
    world.restores = restores
    await world.begin(redis_client)
    for _ in range(STEPS):
        await world.step()
    await world.end()
