"""Logs in the store, and the rulesets that should follow from them."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg
from redis.asyncio import Redis

from domain import commands as c
from eventstore.log import StoredEvent
from eventstore.store import EventStore
from projections.reading import open_log
from projections.rulesets import Meta, Rulesets
from projections.script import RedisClient
from projections.verify import Finding, verify
from tests.support.logs import append
from tests.support.project_logs import ProjectLog, as_command, deltas_of


class StoredLog:
    """A project's log that is decided in memory and stored as it grows."""

    def __init__(self, store: EventStore, log: ProjectLog) -> None:
        self.store = store
        self.log = log
        self._stored = 0

    @property
    def log_id(self) -> str:
        """The log."""
        return self.log.log_id

    def env(self, key: str = "production") -> str:
        """The id of a living environment."""
        return self.log.environments[key]

    async def do(self, *commands: c.Command) -> int:
        """Accept commands as one delta and store it; answers the log's new end."""
        self.log.do(*commands)
        return await self.store_new()

    async def store_new(self) -> int:
        """Store what was decided since the last time."""
        new = self.log.events[self._stored :]
        self._stored += len(new)
        await store_deltas(self.store, self.log_id, new)
        return self._stored

    async def truncate(self, pool: asyncpg.Pool, keep: int) -> None:
        """What a volume brought back from a snapshot looks like: the same log, ending earlier."""
        await truncated(pool, self.log_id, keep)
        self.log.truncate(keep)
        self._stored = keep


async def truncated(pool: asyncpg.Pool, log_id: str, keep: int) -> None:
    """Take the events after a seq out of the database, past its refusal."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("ALTER TABLE event DISABLE TRIGGER event_is_immutable")
        await connection.execute("DELETE FROM event WHERE log_id = $1 AND seq > $2", log_id, keep)
        await connection.execute(
            "DELETE FROM command WHERE log_id = $1 AND last_seq > $2", log_id, keep
        )
        await connection.execute(
            """UPDATE log_head SET (last_seq, last_hash, last_at) = (
                SELECT seq, hash, recorded_at FROM event WHERE log_id = $1 AND seq = $2
            ) WHERE log_id = $1""",
            log_id,
            keep,
        )
        await connection.execute("ALTER TABLE event ENABLE ALWAYS TRIGGER event_is_immutable")


async def store_deltas(store: EventStore, log_id: str, events: Sequence[StoredEvent]) -> None:
    """Append events, each delta as one command."""
    deltas = [as_command(delta) for delta in deltas_of(events)]
    for begin in range(0, len(deltas), 1000):
        await append(store, log_id, *deltas[begin : begin + 1000])


async def stored_log(store: EventStore, log_id: str = "demo") -> StoredLog:
    """A new project in the store, with two environments."""
    log = StoredLog(store, ProjectLog(log_id))
    await log.store_new()
    return log


async def assert_exact(store: EventStore, redis: RedisClient, log_id: str) -> None:
    """Every ruleset is what a fresh fold gives, at the log's end unless its environment ended."""
    findings = await verify(store, redis, log_id)
    assert [finding for finding in findings if finding.problem] == []
    head = await store.head(log_id)
    reader = await open_log(store, log_id, from_snapshot=False)
    await reader.advance()
    for finding in findings:
        ended = reader.fold.environments.by_id[finding.environment].ended
        assert ended or finding.seq == head.last_seq, finding


def problems(findings: Sequence[Finding]) -> dict[str, str]:
    """Why rulesets are not as they should be, by environment id."""
    return {finding.environment: finding.problem for finding in findings if finding.problem}


async def meta(redis: Redis, env: str) -> Meta:
    """The meta of a ruleset that is there."""
    found = await Rulesets(redis).meta(env)
    assert found is not None
    return found


class Dump:
    """All of a Redis, to be restored later: what an old snapshot file of it would bring back."""

    def __init__(self, keys: dict[bytes, bytes]) -> None:
        self._keys = keys

    @classmethod
    async def of(cls, redis: Redis) -> Dump:
        """Everything as it is now."""
        keys = [key for key in await redis.keys("*") if isinstance(key, bytes)]
        return cls({key: await redis.dump(key) or b"" for key in keys})

    async def restore(self, redis: Redis) -> None:
        """Everything as it was."""
        await redis.flushall()
        for key, value in self._keys.items():
            await redis.restore(key, 0, value)
