"""Connections to PostgreSQL, and whether they lead to the history that was known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from eventstore.errors import translating
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


@asynccontextmanager
async def create_pool(
    database_url: str,
    *,
    min_size: int = 1,
    max_size: int = 10,
    application_name: str = "halyard",
    connect_timeout_s: float = 10.0,
    command_timeout_s: float = 30.0,
) -> AsyncIterator[asyncpg.Pool]:
    """A pool of connections to a migrated primary, closed at the end of the block.

    Every new connection compares the cluster behind it with the one that wrote the history, see
    :func:`check_cluster_identity`. Raises :class:`~eventstore.errors.StoreError`.
    """
    with translating:
        pool = await asyncpg.create_pool(
            database_url,
            min_size=min_size,
            max_size=max_size,
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
