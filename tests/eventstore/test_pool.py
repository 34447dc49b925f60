"""Connections: the cluster behind them, and what they do when it is away."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from eventstore.errors import SchemaOutdated, StoreUnavailable
from eventstore.pool import check_cluster_identity, create_pool
from eventstore.store import EventStore
from tests.support.logs import fill


async def test_the_same_cluster_bumps_nothing(
    store: EventStore, connection: asyncpg.Connection
) -> None:
    head = (await fill(store, "demo", 1)).head
    assert not await check_cluster_identity(connection)
    assert (await store.head("demo")).epoch == head.epoch


@pytest.mark.parametrize("column", ["system_identifier", "timeline"])
async def test_another_cluster_or_timeline_bumps_every_epoch_once(
    store: EventStore, connection: asyncpg.Connection, database_url: str, column: str
) -> None:
    before = [(await fill(store, log_id, 1)).head.epoch for log_id in ("demo", "other")]
    await connection.execute(f"UPDATE installation SET {column} = {column} + 1")
    others = [await asyncpg.connect(database_url) for _ in range(4)]
    noticed = await asyncio.gather(*map(check_cluster_identity, others))
    assert sorted(noticed) == [False, False, False, True]
    after = [head.epoch for head in await store.heads()]
    assert all(new > old for new, old in zip(after, before, strict=True))
    for other in others:
        await other.close()


async def test_every_connection_of_a_pool_looks_at_the_cluster(
    connection: asyncpg.Connection, database_url: str
) -> None:
    await connection.execute("UPDATE installation SET system_identifier = 1")
    async with create_pool(database_url):
        pass
    assert await connection.fetchval("SELECT system_identifier FROM installation") != 1


async def test_an_ordinary_role_may_look_at_the_cluster(connection: asyncpg.Connection) -> None:
    async with connection.transaction():
        await connection.execute("CREATE ROLE ordinary")
        await connection.execute("GRANT SELECT ON installation TO ordinary")
        await connection.execute("SET LOCAL ROLE ordinary")
        assert not await check_cluster_identity(connection)
        await connection.execute("RESET ROLE")
        await connection.execute("DROP OWNED BY ordinary")
        await connection.execute("DROP ROLE ordinary")


async def test_a_database_without_the_schema_is_named_so(empty_database_url: str) -> None:
    with pytest.raises(SchemaOutdated, match="halyard db migrate"):
        async with create_pool(empty_database_url):
            pass


@pytest.mark.parametrize("url", ["postgresql://nobody@127.0.0.1:1/none", "{url}-no-such"])
async def test_a_server_or_database_that_is_not_there_is_unavailable(
    database_url: str, url: str
) -> None:
    name = database_url.partition("?")[0].rpartition("/")[2]
    url = database_url.replace(name, f"{name}-gone") if url.startswith("{") else url
    with pytest.raises(StoreUnavailable):
        async with create_pool(url):
            pass


async def test_a_connection_that_was_killed_is_replaced(pool: asyncpg.Pool) -> None:
    store = EventStore(pool)
    await fill(store, "demo", 1)
    async with pool.acquire() as victim:
        pid = victim.get_server_pid()
        with pytest.raises(asyncpg.PostgresError):
            await victim.execute("SELECT pg_terminate_backend($1)", pid)
    assert (await store.head("demo")).last_seq == 1


async def test_a_pool_closes_though_a_connection_is_not_given_back(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventstore.pool.CLOSE_TIMEOUT_S", 0.05)
    async with create_pool(database_url) as pool:
        await pool.acquire()
    assert pool.get_size() == 0


async def test_a_transaction_that_was_left_open_is_rolled_back_before_the_next_use(
    database_url: str,
) -> None:
    async with create_pool(database_url, max_size=1) as pool:
        with pytest.raises(asyncpg.PostgresError):
            async with pool.acquire() as connection:
                await connection.execute("BEGIN; DELETE FROM command; SELECT 1 / 0")
        assert await pool.fetchval("SELECT 1") == 1
