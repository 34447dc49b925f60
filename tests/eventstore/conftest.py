"""What the event store's tests share: a store on a database of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from eventstore.pool import create_pool
from eventstore.store import EventStore
from tests.support.logs import Tamper


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with create_pool(database_url, max_size=20) as pool:
        yield pool


@pytest.fixture
def store(pool: asyncpg.Pool) -> EventStore:
    return EventStore(pool)


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A superuser's own way into the database, past the store."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
def tamper(connection: asyncpg.Connection) -> Tamper:
    async def run(statements: str) -> None:
        await connection.execute("ALTER TABLE event DISABLE TRIGGER event_is_immutable")
        await connection.execute(statements)
        await connection.execute("ALTER TABLE event ENABLE ALWAYS TRIGGER event_is_immutable")

    return run
