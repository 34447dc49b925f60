"""Connections to PostgreSQL: whether they lead to the known history, and how long one waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from eventstore.errors import translating
from eventstore.histogram import Histogram
from eventstore.statements import statement

CLOSE_TIMEOUT_S = 5.0

_SERVER_SETTINGS = {
    "timezone": "UTC",
    # Statements are short; compiling one would cost more than running it.
    "jit": "off",
    # Acknowledged means durable, and each statement sees what was committed before it.
    "synchronous_commit": "on",
    "default_transaction_isolation": "read committed",
    # A transaction that a dead task left open would hold a log's head.
    "idle_in_transaction_session_timeout": "30s",
    "lock_timeout": "10s",
}


class ObservedPool(asyncpg.Pool):  # type: ignore[misc]  # asyncpg has no types
    """A pool that knows who waits for a connection. Made by :func:`create_pool`.

    Attributes:
        waiting: how many tasks wait for a connection at present.
        waited_s: how long each wait took that has ended, in seconds.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.waiting = 0
        self.waited_s = Histogram()

    def acquire(self, *, timeout: float | None = None) -> _Acquisition:
        """As the driver's: to be awaited, or entered."""
        return _Acquisition(self, super().acquire(timeout=timeout))


class _Acquisition:
    """The driver's context, with its wait counted."""

    __slots__ = ("_context", "_pool")

    def __init__(self, pool: ObservedPool, context: Any) -> None:
        self._pool = pool
        self._context = context

    def __await__(self) -> Generator[Any, None, Any]:
        return self._counted(self._context).__await__()

    async def __aenter__(self) -> Any:
        return await self._counted(self._context.__aenter__())

    async def __aexit__(self, *outcome: object) -> None:
        await self._context.__aexit__(*outcome)

    async def _counted(self, acquired: Any) -> Any:
        began_s = time.perf_counter()
        self._pool.waiting += 1
        try:
            return await acquired
        finally:
            self._pool.waiting -= 1
            self._pool.waited_s.observe(time.perf_counter() - began_s)


@asynccontextmanager
async def create_pool(
    database_url: str,
    *,
    min_size: int = 1,
    max_size: int = 10,
    application_name: str = "halyard",
    connect_timeout_s: float = 10.0,
    command_timeout_s: float = 30.0,
) -> AsyncIterator[ObservedPool]:
    """A pool of connections to a migrated primary, closed at the end of the block.

    Every new connection compares the cluster behind it with the one that wrote the history, see
    :func:`check_cluster_identity`. Raises :class:`~eventstore.errors.StoreError`.
    """
    with translating:
        # The driver's own create_pool() takes no class; what stands here beside ours it defaults.
        pool = await ObservedPool(
            database_url,
            min_size=min_size,
            max_size=max_size,
            max_queries=50_000,
            max_inactive_connection_lifetime=300.0,
            loop=None,
            connection_class=asyncpg.Connection,
            record_class=asyncpg.Record,
            timeout=connect_timeout_s,
            command_timeout=command_timeout_s,
            target_session_attrs="read-write",
            server_settings={**_SERVER_SETTINGS, "application_name": application_name},
            init=check_cluster_identity,
            reset=_keep_session,
        )
    try:
        yield pool
    finally:
        await _close(pool)


async def check_cluster_identity(connection: asyncpg.Connection) -> bool:
    """Change every epoch if another cluster or timeline answers than the one last seen.

    True where that happened. Cheap where it did not: one read.
    """
    with translating:
        return bool(await connection.fetchval(statement("check_cluster_identity")))


async def _close(pool: asyncpg.Pool) -> None:
    """Let what is running end, but do not wait for ever: a stop must not hang on a dead peer."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await pool.close()
    except TimeoutError:
        pool.terminate()


async def _keep_session(_connection: asyncpg.Connection) -> None:
    """Nothing of ours outlives a transaction, so a reset would be a round trip for nothing."""
