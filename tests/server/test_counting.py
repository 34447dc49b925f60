"""Batches of counts are taken whatever becomes of the upkeep beside it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from eventstore.analytics import Analytics
from eventstore.contexts import MAX_VALUES, ContextSamples
from eventstore.counts import CountBatch, ExposureCount, Row, SeenAttribute, SeenValue
from eventstore.pool import create_pool
from server.counting import CountKeeper

ENV = "env000000001"
GONE = "env000000002"
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SLOT = int(NOW.timestamp())


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with create_pool(database_url, max_size=4) as pool:
        yield pool


@pytest.fixture
def keeper(pool: asyncpg.Pool) -> CountKeeper:
    return CountKeeper(Analytics(pool), ContextSamples(pool), kept_days=90, is_gone=is_gone)


async def is_gone(environment_id: str) -> bool:
    return environment_id == GONE


def batch(*rows: Row) -> CountBatch:
    return CountBatch(str(uuid.uuid4()), rows)


def values(number: int, prefix: str) -> tuple[Row, ...]:
    attribute = SeenAttribute(ENV, "user", "plan", "string", number, SLOT)
    seen = (SeenValue(*attribute[:4], f"{prefix}{n}", 1, SLOT) for n in range(number))
    return (attribute, *seen)


async def test_a_sample_that_grows_is_pruned_but_not_with_every_batch(
    keeper: CountKeeper, pool: asyncpg.Pool
) -> None:
    await keeper.write(batch(*values(MAX_VALUES + 9, "a")))
    samples = ContextSamples(pool)
    assert len(await samples.values(ENV)) == MAX_VALUES
    await keeper.write(batch(*values(9, "b")))
    assert len(await samples.values(ENV)) == MAX_VALUES + 9


async def test_a_batch_is_in_although_the_sample_could_not_be_pruned(
    keeper: CountKeeper, pool: asyncpg.Pool
) -> None:
    await pool.execute(
        """
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'not now'; END $$;
        CREATE TRIGGER refuses BEFORE DELETE ON context_value
            FOR EACH STATEMENT EXECUTE FUNCTION refuse();
        """
    )
    await keeper.write(batch(*values(3, "a")))
    assert len(await ContextSamples(pool).values(ENV)) == 3


async def test_old_days_go_and_coming_days_are_there(
    keeper: CountKeeper, pool: asyncpg.Pool
) -> None:
    first_kept = NOW - timedelta(days=90)
    for at in (first_kept, first_kept - timedelta(days=1)):
        slot_s = int(at.timestamp())
        await keeper.write(
            batch(ExposureCount(ENV, "a", slot_s, 1, "on", "ERROR", 1, slot_s * 1000))
        )
    await keeper.keep_house(NOW)
    rows = await pool.fetch(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits "
        "WHERE inhparent = 'exposure_count'::regclass ORDER BY 1"
    )
    days = [row["name"].removeprefix("exposure_count_") for row in rows]
    assert days == ["20260131", "20260501", "20260502", "20260503", "20260504"]


async def test_upkeep_waits_for_nobody_and_comes_again(
    keeper: CountKeeper, pool: asyncpg.Pool, database_url: str
) -> None:
    old = int((NOW - timedelta(days=100)).timestamp())
    await keeper.write(batch(ExposureCount(ENV, "a", old, 1, "on", "ERROR", 1, old * 1000)))
    reader = await asyncpg.connect(database_url)
    async with reader.transaction():
        await reader.execute("SELECT * FROM exposure_count")
        await pool.execute("ALTER FUNCTION forget_days SET lock_timeout = '50ms'")
        await keeper.keep_house(NOW)
        assert await pool.fetchval("SELECT count(*) FROM exposure_count") == 1
    await reader.close()
    await keeper.keep_house(NOW)
    assert await pool.fetchval("SELECT count(*) FROM exposure_count") == 0


async def test_the_sample_of_an_environment_that_is_gone_is_erased(
    keeper: CountKeeper, pool: asyncpg.Pool
) -> None:
    rows = values(2, "a")
    await keeper.write(batch(*rows, *(row._replace(environment_id=GONE) for row in rows)))
    await keeper.keep_house(NOW)
    samples = ContextSamples(pool)
    assert await samples.environments() == [ENV]
    assert await samples.values(GONE) == []
