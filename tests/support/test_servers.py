from __future__ import annotations

import asyncpg
import pytest
import redis.asyncio


@pytest.mark.parametrize("attempt", [1, 2])
async def test_each_test_has_a_database_of_its_own(database_url: str, attempt: int) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("create table only_here (attempt int)")
    finally:
        await connection.close()


@pytest.mark.parametrize("attempt", [1, 2])
async def test_each_test_finds_an_empty_valkey(
    redis_client: redis.asyncio.Redis, attempt: int
) -> None:
    assert await redis_client.dbsize() == 0
    await redis_client.set("left", attempt)
