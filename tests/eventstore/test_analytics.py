"""Counts: added once, whatever becomes of connections; found through few tables; forgotten."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from eventstore.analytics import DAYS_AHEAD, MAX_GROUPS, MAX_LINES, Analytics, Span
from eventstore.contexts import MAX_ATTRIBUTES, MAX_VALUES, ContextSamples
from eventstore.counts import (
    MAX_COUNT,
    SLOT_S,
    CountBatch,
    EventCount,
    ExposureCount,
    LossCount,
    Row,
    SeenAttribute,
    SeenValue,
)
from eventstore.errors import StoreUnavailable
from eventstore.pool import create_pool
from eventstore.statements import statement

ENV = "env000000001"
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
NOON_S = int(NOON.timestamp())
DAY_S = 86_400
ALL = Span(NOON - timedelta(days=400), NOON + timedelta(days=400))


@pytest.fixture
def analytics(pool: asyncpg.Pool) -> Analytics:
    return Analytics(pool)


@pytest.fixture
def samples(pool: asyncpg.Pool) -> ContextSamples:
    return ContextSamples(pool)


def batch(*rows: Row) -> CountBatch:
    return CountBatch(str(uuid.uuid4()), rows)


def exposures(times: int = 1, **fields: Any) -> ExposureCount:
    plain = ExposureCount(ENV, "checkout", NOON_S, 3, "on", "FALLTHROUGH", times, NOON_S * 1000)
    return plain._replace(**fields)


async def total(analytics: Analytics, flag: str = "checkout") -> int:
    totals = await analytics.exposure_totals(ENV, flag, ALL)
    return max((each.count for each in totals), default=0)


async def test_what_is_added_is_added_to_what_is_there(analytics: Analytics) -> None:
    assert await analytics.write(batch(exposures(2), exposures(3, variation="")))
    later = exposures(5, last_at_ms=NOON_S * 1000 + 1_500)
    assert await analytics.write(batch(later, exposures(1, version=9, reason="RULE_MATCH")))
    totals = await analytics.exposure_totals(ENV, "checkout", ALL)
    shown = {(each.variation, each.reason, each.version): each.count for each in totals}
    assert shown == {
        (None, None, None): 11,
        ("on", None, None): 8,
        ("", None, None): 3,
        (None, "FALLTHROUGH", None): 10,
        (None, "RULE_MATCH", None): 1,
        (None, None, 3): 10,
        (None, None, 9): 1,
    }
    assert max(each.last_at or NOON for each in totals) == NOON + timedelta(seconds=1.5)
    assert await total(analytics, "another") == 0


async def test_tracked_events_and_losses_are_summed_up(analytics: Analytics) -> None:
    bought = EventCount(ENV, "bought", NOON_S, 3, 2, 30.0, 10.0, 20.0, NOON_S * 1000)
    looked = EventCount(ENV, "looked", NOON_S, 9, 0, 0.0, None, None, NOON_S * 1000)
    more = bought._replace(times=1, valued=1, total=-5.0, least=-5.0, most=-5.0)
    await analytics.write(batch(bought, looked, LossCount(ENV, NOON_S, "events", "sdk", 4)))
    await analytics.write(batch(more, LossCount(ENV, NOON_S, "events", "sdk", 1)))
    first, second = await analytics.events_by_name(ENV, ALL, 10)
    assert (first.name, first.count, first.valued, first.least) == ("looked", 9, 0, None)
    assert (second.count, second.valued, second.total) == (4, 3, 25.0)
    assert (second.least, second.most) == (-5.0, 20.0)
    assert [(loss.reason, loss.count) for loss in await analytics.losses(ENV, ALL)] == [("sdk", 5)]


async def test_a_sum_stops_before_it_overflows(analytics: Analytics) -> None:
    for _ in range(2):
        await analytics.write(batch(exposures(MAX_COUNT - 1)))
    assert await total(analytics) == MAX_COUNT


async def test_a_batch_is_counted_once_however_often_it_is_written(analytics: Analytics) -> None:
    same = batch(exposures(7))
    assert await analytics.write(same)
    assert not await analytics.write(same)
    answers = await asyncio.gather(*(analytics.write(batch(exposures())) for _ in range(4)))
    assert answers == [True] * 4
    assert await total(analytics) == 11


async def test_the_same_batch_written_twice_at_once_is_counted_once(analytics: Analytics) -> None:
    same = batch(exposures(7))
    answers = await asyncio.gather(*(analytics.write(same) for _ in range(6)))
    assert sorted(answers) == [False] * 5 + [True]
    assert await total(analytics) == 7


@asynccontextmanager
async def slow_commits(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """Commits of batches wait inside of the database until the block ends."""
    await connection.execute(
        """
        CREATE FUNCTION wait_for_the_test() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER waits AFTER INSERT ON upstream_batch
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait_for_the_test();
        SELECT pg_advisory_lock(42);
        """
    )
    try:
        yield
    finally:
        await connection.execute("SELECT pg_advisory_unlock(42)")


async def committing(connection: asyncpg.Connection) -> int:
    """The process id of the backend that is in the middle of its commit."""
    async with asyncio.timeout(10):
        while True:
            pid = await connection.fetchval(
                "SELECT pid FROM pg_stat_activity WHERE query = 'COMMIT;' AND state = 'active' "
                "AND pg_blocking_pids(pid) <> '{}'"
            )
            if pid:
                return int(pid)


@pytest.mark.parametrize("committed", [True, False])
async def test_a_connection_cut_in_mid_commit_leaves_the_batch_counted_once(
    database_url: str, connection: asyncpg.Connection, committed: bool
) -> None:
    same = batch(exposures(7))
    async with create_pool(database_url, max_size=2) as pool:
        analytics = Analytics(pool)
        await analytics.write(batch(exposures(100)))
        async with slow_commits(connection):
            attempt = asyncio.create_task(analytics.write(same))
            pid = await committing(connection)
            if committed:
                pool.terminate()  # the database does not hear of it before it has committed
            else:
                await connection.execute("SELECT pg_terminate_backend($1)", pid)
            with pytest.raises(StoreUnavailable) as unavailable:
                await attempt
            assert unavailable.value.outcome_unknown
    async with create_pool(database_url, max_size=2) as pool:
        analytics = Analytics(pool)
        assert await analytics.write(same) is not committed
        assert await total(analytics) == 107


async def test_two_writers_of_the_same_rows_never_wait_for_each_other_in_a_ring(
    analytics: Analytics,
) -> None:
    rows = [exposures(flag=f"flag{n}", variation=v) for n in range(200) for v in ("on", "off")]
    backwards = rows[::-1]
    writes = (analytics.write(batch(*(backwards if n % 2 else rows))) for n in range(12))
    assert all(await asyncio.gather(*writes))
    assert await total(analytics, "flag7") == 24


async def test_days_are_made_by_several_at_once_and_on_demand(database_url: str) -> None:
    async with create_pool(database_url) as one, create_pool(database_url) as two:
        today = NOON.date()
        both = [Analytics(pool) for pool in (one, two) for _ in range(4)]
        await asyncio.gather(*(each.prepare_days(today) for each in both))
        assert await tables(one, "exposure_count") == [
            f"exposure_count_202605{day:02}" for day in range(1, 2 + DAYS_AHEAD)
        ]
        far = exposures(slot_s=NOON_S + 50 * DAY_S)
        written = await asyncio.gather(*(each.write(batch(far)) for each in both))
        assert all(written)
        assert await total(both[0]) == len(both)


async def tables(pool: asyncpg.Pool, parent: str) -> list[str]:
    rows = await pool.fetch(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits "
        "WHERE inhparent = $1::regclass ORDER BY 1",
        parent,
    )
    return [row["name"] for row in rows]


async def test_a_day_begins_at_midnight_utc(analytics: Analytics, pool: asyncpg.Pool) -> None:
    midnight_s = NOON_S + DAY_S // 2
    before, after = exposures(1, slot_s=midnight_s - SLOT_S), exposures(2, slot_s=midnight_s)
    await analytics.write(batch(before, after))
    counted = await pool.fetch(
        "SELECT tableoid::regclass::text AS day, count FROM exposure_count ORDER BY 1"
    )
    assert [tuple(row) for row in counted] == [
        ("exposure_count_20260501", 1),
        ("exposure_count_20260502", 2),
    ]


async def test_what_is_old_is_forgotten_and_the_rest_kept(
    analytics: Analytics, pool: asyncpg.Pool, samples: ContextSamples
) -> None:
    old = NOON_S - 3 * DAY_S
    attribute = SeenAttribute(ENV, "user", "plan", "string", 1, NOON_S)
    value = SeenValue(ENV, "user", "plan", "string", "free", 1, NOON_S)
    await analytics.write(batch(exposures(1), exposures(2, slot_s=old), attribute, value))
    aged = (attribute._replace(attribute="age", slot_s=old), value._replace(value="x", slot_s=old))
    await analytics.write(batch(*aged))
    await pool.execute("UPDATE upstream_batch SET written_at = now() - interval '3 days'")
    assert await analytics.forget_before(date(2026, 5, 1)) == 3
    assert await tables(pool, "exposure_count") == ["exposure_count_20260501"]
    assert await total(analytics) == 1
    assert [each.attribute for each in await samples.attributes(ENV)] == ["plan"]
    assert [each.value for each in await samples.values(ENV)] == ["free"]
    assert await pool.fetchval("SELECT count(*) FROM upstream_batch") == 0


async def test_a_day_that_another_process_forgot_is_made_again(
    analytics: Analytics, pool: asyncpg.Pool
) -> None:
    await analytics.write(batch(exposures(1)))
    await Analytics(pool).forget_before(date(2026, 5, 2))
    assert await analytics.write(batch(exposures(2)))
    assert await total(analytics) == 2


async def test_a_series_is_by_steps_from_the_start(analytics: Analytics) -> None:
    await analytics.write(batch(*(exposures(n + 1, slot_s=NOON_S + n * SLOT_S) for n in range(8))))
    span = Span(NOON, NOON + timedelta(minutes=70))
    points = await analytics.exposure_series(ENV, "checkout", span, timedelta(minutes=30))
    assert [(each.at - NOON, each.count) for each in points] == [
        (timedelta(0), 6),
        (timedelta(minutes=30), 15),
        (timedelta(minutes=60), 7),
    ]


async def test_a_series_of_many_variations_shows_the_largest_to_its_end(
    analytics: Analytics,
) -> None:
    steps = 144
    rows = [
        exposures(n + 1, variation=f"v{n}", slot_s=NOON_S + step * SLOT_S)
        for step in range(steps)
        for n in range(2 * MAX_LINES)
    ]
    assert len(rows) > MAX_GROUPS
    await analytics.write(batch(*rows))
    span = Span(NOON, NOON + timedelta(days=1))
    points = await analytics.exposure_series(ENV, "checkout", span, timedelta(minutes=10))
    largest = {f"v{n}" for n in range(MAX_LINES, 2 * MAX_LINES)}
    for step in range(steps):
        at = NOON + timedelta(minutes=10) * step
        assert {each.variation for each in points if each.at == at} == largest


async def test_questions_read_the_tables_of_their_days_through_the_index(
    analytics: Analytics, connection: asyncpg.Connection
) -> None:
    await analytics.prepare_days(NOON.date())
    await connection.execute(
        """
        INSERT INTO exposure_count
        SELECT 'env' || n % 20, 'flag' || n % 500, $1::timestamptz + n % 3 * interval '1 day',
            n, 'on', 'FALLTHROUGH', 1, $1 FROM generate_series(1, 30000) AS n
        """,
        NOON,
    )
    await connection.execute("ANALYZE exposure_count")
    span = "'2026-05-02 11:00Z', '2026-05-02 18:00Z'"
    questions = {
        "exposure_totals": f"'env3', 'flag3', {span}, 5000",
        "exposure_series": f"'env3', 'flag3', {span}, '1 hour', 5000",
        "exposures_by_flag": f"'env3', {span}, 1000",
    }
    # Prepared statements are planned for their arguments at first, and after a while for any.
    for mode in ("force_custom_plan", "force_generic_plan"):
        await connection.execute(f"SET plan_cache_mode = {mode}")
        for name, arguments in questions.items():
            await connection.execute(f"PREPARE {name}_{mode} AS {statement(name)}")
            rows = await connection.fetch(
                f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) EXECUTE {name}_{mode}({arguments})"
            )
            plan = "\n".join(row[0] for row in rows)
            assert "exposure_count_20260502_pkey" in plan, plan
            assert "20260501" not in plan, plan
            assert "20260503" not in plan, plan
            assert "Seq Scan" not in plan, plan
            assert ("Subplans Removed" in plan) is (mode == "force_generic_plan"), plan


async def test_a_sample_keeps_the_newest_and_most_frequent(
    analytics: Analytics, samples: ContextSamples
) -> None:
    rows: list[Row] = [
        SeenAttribute(ENV, "user", f"a{n:04}", "string", n + 1, NOON_S)
        for n in range(MAX_ATTRIBUTES + 2)
    ]
    rows += [
        SeenValue(ENV, "user", "a0300", "string", f"v{n:04}", n + 1, NOON_S)
        for n in range(MAX_VALUES + 3)
    ]
    rows += [
        SeenValue(ENV, "user", "a0300", "string", "new", 1, NOON_S + DAY_S),
        SeenValue(ENV, "user", "a0000", "string", "gone with its attribute", 1, NOON_S),
    ]
    await analytics.write(batch(*rows))
    await samples.prune(ENV)
    kept = {each.attribute for each in await samples.attributes(ENV)}
    assert len(kept) == MAX_ATTRIBUTES
    assert kept.isdisjoint({"a0000", "a0001"})
    values = [each.value for each in await samples.values(ENV)]
    assert len(values) == MAX_VALUES
    assert "new" in values
    assert "v0003" not in values
    assert values[0] == f"v{MAX_VALUES + 2:04}"


async def test_the_sample_of_one_environment_is_erased(
    analytics: Analytics, samples: ContextSamples
) -> None:
    of_other = SeenValue("env000000002", "user", "key", "string", "bob", 1, NOON_S)
    mine = of_other._replace(environment_id=ENV, value="alice")
    await analytics.write(batch(of_other, mine, SeenAttribute(*mine[:4], 1, NOON_S)))
    await samples.erase(ENV)
    assert (await samples.values(ENV), await samples.attributes(ENV)) == ([], [])
    assert [each.value for each in await samples.values("env000000002")] == ["bob"]
