"""Looking at an installation for `halyard doctor`; what is found is judged in ``checks``.

What cannot be reached is one finding, and whatever does not need it is looked at all the same.
"""

from __future__ import annotations

import resource
from datetime import UTC, datetime

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import RedisError

from eventstore.chain import chained_hash
from eventstore.errors import StoreError, translating
from eventstore.log import GENESIS, SYSTEM_LOG, Head
from eventstore.migrate import status
from eventstore.pool import create_pool
from eventstore.store import EventStore
from projections.reading import HistoryForked, Poisoned
from projections.script import RedisClient
from server.cli import checks
from server.cli.checks import Check
from server.cli.installations import Installation
from server.cli.ruleset_work import places
from server.redis_client import connect_redis

NEWEST_EVENTS = 1_000
"""So many of each log are checked; `halyard events verify` checks them all."""


async def examine(installation: Installation) -> list[Check]:
    """Everything that can be looked at."""
    found = [checks.descriptors(resource.getrlimit(resource.RLIMIT_NOFILE)[0])]
    try:
        found += await _database(installation.database_url)
    except StoreError as error:
        return [*found, checks.unreachable("database", str(error)), *await _redis(installation)]
    return [*found, *await _redis(installation), *await _logs(installation)]


async def _database(url: str) -> list[Check]:
    with translating:
        connection = await asyncpg.connect(url, timeout=10)
        try:
            return [*await _server(connection), await _schema(connection)]
        finally:
            await connection.close(timeout=10)


async def _server(connection: asyncpg.Connection) -> list[Check]:
    row = await connection.fetchrow(
        """
        SELECT current_setting('server_version_num')::int AS number,
            current_setting('server_version') AS version,
            current_setting('server_encoding') AS encoding,
            current_setting('fsync') AS fsync,
            current_setting('synchronous_commit') AS synchronous_commit,
            current_setting('max_connections')::int AS most,
            (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,
            clock_timestamp() AS now
        """
    )
    return [
        checks.postgresql_version(row["number"], row["version"]),
        checks.encoding(row["encoding"]),
        checks.durability(row["fsync"], row["synchronous_commit"]),
        checks.connections(row["used"], row["most"]),
        checks.clock(datetime.now(UTC) - row["now"]),
    ]


async def _schema(connection: asyncpg.Connection) -> Check:
    try:
        migrations = await status(connection)
    except StoreError as error:
        return checks.unreadable("schema", str(error))
    pending = [each.name for each in migrations if each.applied_at is None]
    return checks.migrations(tuple(pending))


async def _redis(installation: Installation) -> list[Check]:
    if installation.redis_url is None:
        return [checks.unreachable("Redis", "HALYARD_REDIS_URL is not set")]
    try:
        async with connect_redis(installation.redis_url) as redis:
            servers = [redis] if isinstance(redis, Redis) else map(redis.node, redis.masters())
            infos = [await server.info() for server in servers]
    except (RedisError, OSError) as error:
        return [checks.unreachable("Redis", str(error))]
    return [
        check
        for info in infos
        for check in (
            checks.redis_version(info["redis_version"], info.get("valkey_version")),
            checks.eviction(info["maxmemory_policy"], info["evicted_keys"]),
        )
    ]


async def _logs(installation: Installation) -> list[Check]:
    try:
        async with create_pool(installation.database_url, max_size=2) as pool:
            store = EventStore(pool)
            heads = await store.heads()
            chains = [await _chain(store, head) for head in heads]
            projects = [head.log_id for head in heads if head.log_id != SYSTEM_LOG]
            return [*chains, *await _rulesets(store, installation, projects)]
    except StoreError as error:
        return [checks.unreadable("logs", str(error))]


async def _chain(store: EventStore, head: Head) -> Check:
    first = max(0, head.last_seq - NEWEST_EVENTS)
    # The event before gives the hash on which the first one rests.
    events = await store.read(head.log_id, max(0, first - 1), NEWEST_EVENTS + 1, head.last_seq)
    previous = GENESIS
    if first:
        previous, events = events[0].hash, events[1:]
    problems = []
    for event in events:
        if chained_hash(previous, event) != event.hash:
            problems.append(f"event {event.seq} does not follow from the one before")
        previous = event.hash
    if previous != head.last_hash:
        problems.append("the head has another hash than the newest event")
    return checks.chain(head.log_id, len(events), tuple(problems[:3]))


async def _rulesets(
    store: EventStore, installation: Installation, projects: list[str]
) -> list[Check]:
    if installation.redis_url is None:
        return []
    try:
        async with connect_redis(installation.redis_url) as redis:
            return [check for log_id in projects for check in await _project(store, redis, log_id)]
    except (RedisError, OSError) as error:
        return [checks.unreachable(f"rulesets of {each}", str(error)) for each in projects]


async def _project(store: EventStore, redis: RedisClient, project: str) -> list[Check]:
    try:
        found = await places(store, redis, project, lambda _seq: None)
    except (Poisoned, HistoryForked) as trouble:
        return [checks.poisoned(project, str(trouble))]
    except (RedisError, OSError) as error:
        return [checks.unreachable(f"rulesets of {project}", str(error))]
    return [
        checks.ruleset_lag(project, at.environment, at.behind, there=at.seq is not None)
        for at in found
    ]
