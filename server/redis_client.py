"""The client of Redis that all roles of a process share, for whatever the setting names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any
from urllib.parse import SplitResult, urlsplit

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from projections.cluster import Address, Cluster
from projections.script import RedisClient
from server.redis_url import CLUSTER, PLAIN, SENTINEL, addresses, one_server

CONNECT_TIMEOUT_S = 5.0
COMMAND_TIMEOUT_S = 10.0
MAX_CONNECTIONS = 64
"""To one server, or to each node of a cluster."""
ASK_SENTINEL_S = 1.0
"""How long one Sentinel may take to name the master before the next one is asked."""


class WrongKindOfRedis(exceptions.RedisError):
    """``HALYARD_REDIS_URL`` speaks of one server, and there is a node of a cluster."""

    def __init__(self) -> None:
        super().__init__(
            "HALYARD_REDIS_URL names a node of a Redis Cluster: "
            "write redis+cluster:// (or rediss+cluster://) instead of redis://"
        )


class PatientRedis(Redis):
    """A client whose commands take at most ``limit_s``.

    Not by the driver's own ``socket_timeout``: on Python 3.11 that goes through ``wait_for``, which
    can lose a cancellation, and a role that loses its cancellation never ends.
    """

    limit_s = COMMAND_TIMEOUT_S

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """As the driver's; raises the driver's ``TimeoutError``."""
        try:
            async with asyncio.timeout(self.limit_s):
                return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except TimeoutError as error:
            raise exceptions.TimeoutError("Redis did not answer in time") from error
        except exceptions.ReadOnlyError:
            # A master no longer. Its name or its proxy may lead to another one by now.
            await self.connection_pool.disconnect(inuse_connections=False)
            raise


class _SentinelRedis(PatientRedis):
    limit_s = ASK_SENTINEL_S


_LIMITS: dict[str, Any] = {
    "max_connections": MAX_CONNECTIONS,
    "socket_timeout": None,
    "socket_connect_timeout": CONNECT_TIMEOUT_S,
}


@asynccontextmanager
async def connect_redis(url: str) -> AsyncIterator[RedisClient]:
    """A client that has answered once, closed at the end. Raises the driver's errors."""
    parts = urlsplit(url)
    async with AsyncExitStack() as stack:
        redis: RedisClient
        if parts.scheme in CLUSTER:
            redis = await stack.enter_async_context(_cluster(parts))
        elif parts.scheme in SENTINEL:
            redis = await stack.enter_async_context(_watched(parts))
        else:
            redis = await stack.enter_async_context(PatientRedis.from_url(url, **_LIMITS))
        await redis.ping()
        if parts.scheme in PLAIN and isinstance(redis, Redis):
            await _refuse_cluster(redis)
        yield redis


async def _refuse_cluster(redis: Redis) -> None:
    with suppress(exceptions.ResponseError):  # who may not ask cannot be warned
        if (await redis.info("cluster")).get("cluster_enabled"):
            raise WrongKindOfRedis


def _cluster(parts: SplitResult) -> Cluster:
    def connect(address: Address) -> Redis:
        # Another try would only delay asking the others who owns the slot now.
        never = Retry(NoBackoff(), 0)
        return PatientRedis.from_url(one_server(parts, *address), retry=never, **_LIMITS)

    seeds = [Address(*each) for each in addresses(parts)]
    return Cluster(seeds, connect, COMMAND_TIMEOUT_S)


@asynccontextmanager
async def _watched(parts: SplitResult) -> AsyncIterator[Redis]:
    seeds = addresses(parts)
    options: dict[str, Any] = {**parse_url(one_server(parts, *seeds[0])), **_LIMITS}
    tls = options.pop("connection_class", None) is SSLConnection
    for own in ("host", "port"):
        del options[own]
    watchers = Sentinel([], ssl=tls, **options)  # type: ignore[no-untyped-call]
    watchers.sentinels = [
        _SentinelRedis(host=host, port=port, ssl=tls, retry=Retry(NoBackoff(), 0))
        for host, port in seeds
    ]
    async with (
        watchers,
        watchers.master_for(parts.path.strip("/"), redis_class=PatientRedis) as redis,
    ):
        yield redis
