"""The client of Redis that all roles of a process share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis import exceptions
from redis.asyncio import Redis

CONNECT_TIMEOUT_S = 5.0
COMMAND_TIMEOUT_S = 10.0
MAX_CONNECTIONS = 64


class PatientRedis(Redis):
    """A client whose commands take at most :data:`COMMAND_TIMEOUT_S`.

    Not by the driver's own ``socket_timeout``: on Python 3.11 that goes through ``wait_for``, which
    can lose a cancellation, and a role that loses its cancellation never ends.
    """

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """As the driver's; raises the driver's ``TimeoutError``."""
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT_S):
                return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except TimeoutError as error:
            raise exceptions.TimeoutError("Redis did not answer in time") from error


@asynccontextmanager
async def connect_redis(url: str) -> AsyncIterator[Redis]:
    """A client that has answered once, closed at the end. Raises the driver's errors."""
    redis = PatientRedis.from_url(
        url,
        max_connections=MAX_CONNECTIONS,
        socket_timeout=None,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
    )
    async with redis:
        await redis.ping()
        yield redis
