"""Webhooks beside the log: leased to one, moved by whoever holds the lease, forgotten in time."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from msgspec.structs import replace

from eventstore.pool import create_pool
from eventstore.webhooks import MAX_DELIVERIES, Attempt, Credential, Webhooks

LENGTH = timedelta(seconds=60)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with create_pool(database_url, max_size=8) as pool:
        await pool.execute("SELECT locked_head('demo')")
        await pool.execute("UPDATE log_head SET last_seq = 9")
        yield pool


@pytest.fixture
def table(pool: asyncpg.Pool) -> Webhooks:
    return Webhooks(pool)


def attempt(**changed: object) -> Attempt:
    made = Attempt(str(uuid.uuid4()), 1, 2, 2, "failed", 500, 7, "it answered 500", "no")
    return replace(made, **changed)


async def test_a_webhook_is_leased_to_one_of_many(table: Webhooks) -> None:
    for n in range(6):
        await table.keep("demo", f"h{n}")
    taken = await asyncio.gather(*(table.lease(f"p{n}", LENGTH, 3) for n in range(8)))
    hooks = [lease.webhook for leases in taken for lease in leases]
    assert sorted(hooks) == [f"h{n}" for n in range(6)]
    assert max(map(len, taken)) <= 3
    assert await table.lease("late", LENGTH, 9) == []


async def test_what_has_been_looked_at_is_leased_again_when_the_log_goes_on(
    table: Webhooks, pool: asyncpg.Pool
) -> None:
    await table.keep("demo", "h")
    [lease] = await table.lease("p", LENGTH, 9)
    assert await table.settle(replace(lease, seq=9, seen_seq=9), LENGTH, due_at=datetime.now(UTC))
    assert await table.lease("p", LENGTH, 9) == []
    await pool.execute("UPDATE log_head SET last_seq = 10")
    assert [(each.seq, each.seen_seq) for each in await table.lease("p", LENGTH, 9)] == [(9, 9)]


async def test_a_retry_waits_for_its_time_unless_it_is_hurried(table: Webhooks) -> None:
    await table.keep("demo", "h")
    [lease] = await table.lease("p", LENGTH, 9)
    later = datetime.now(UTC) + timedelta(hours=1)
    failing = replace(lease, attempts=1, failing_since=datetime.now(UTC))
    await table.settle(failing, LENGTH, attempt=attempt(), due_at=later)
    assert await table.lease("p", LENGTH, 9) == []
    lag = await table.lag()
    assert (lag.behind, lag.failing) == (1, 1)
    await table.hurry("demo", "h")
    [again] = await table.lease("p", LENGTH, 9)
    assert again.attempts == 1


async def test_who_has_lost_a_lease_moves_nothing_but_is_believed_about_its_attempt(
    table: Webhooks, pool: asyncpg.Pool
) -> None:
    await table.keep("demo", "h")
    [lost] = await table.lease("p", LENGTH, 9)
    await pool.execute("UPDATE webhook_cursor SET leased_until = now()")
    [held] = await table.lease("q", LENGTH, 9)
    made = attempt()
    assert not await table.renew(lost, LENGTH)
    assert not await table.settle(replace(lost, seq=5), LENGTH, attempt=made)
    assert await table.renew(held, LENGTH)
    position = await table.position("demo", "h")
    assert position is not None
    assert position.seq == 0
    assert await table.delivery("demo", "h", made.delivery_id) is not None


async def test_attempts_of_one_delivery_are_counted(table: Webhooks) -> None:
    made = attempt()
    await table.record("demo", "h", made)
    await table.record("demo", "h", replace(made, outcome="delivered", status=200, error=""))
    [known] = await table.deliveries("demo", "h", 9)
    assert (known.attempts, known.outcome, known.status) == (2, "delivered", 200)


async def test_deliveries_are_paged_by_their_last_attempt(table: Webhooks) -> None:
    for _ in range(5):
        await table.record("demo", "h", attempt())
    await table.record("demo", "other", attempt())
    whole = await table.deliveries("demo", "h", 9)
    first = await table.deliveries("demo", "h", 2)
    rest = await table.deliveries("demo", "h", 9, (first[-1].attempted_at, first[-1].id))
    assert [*first, *rest] == whole
    assert len(whole) == 5
    assert await table.deliveries("demo", "h", 9, outcome="gone") == []


async def test_a_credential_is_known_to_its_own_webhook_only(table: Webhooks) -> None:
    await table.keep(
        "demo", "h", Credential("c1", "target", b"t"), Credential("c2", "secret", b"s")
    )
    assert await table.credentials("demo", "h", "target", ["c1", "c2"]) == {"c1": b"t"}
    assert await table.credentials("demo", "h", "secret", ["c2"]) == {"c2": b"s"}
    assert await table.credentials("demo", "other", "target", ["c1"]) == {}
    assert await table.credentials("shop", "h", "target", ["c1"]) == {}
    assert "b's'" not in repr(Credential("c2", "secret", b"s"))


async def test_a_credential_that_nobody_names_goes_after_a_while(
    table: Webhooks, pool: asyncpg.Pool
) -> None:
    await table.keep("demo", "h", Credential("old", "secret", b"1"))
    await table.keep("demo", "h", Credential("named", "secret", b"2"))
    await pool.execute("UPDATE webhook_credential SET created_at = now() - interval '2 hours'")
    await table.keep("demo", "h", Credential("new", "secret", b"3"))
    await table.forget_credentials("demo", "h", ["named"])
    left = await table.credentials("demo", "h", "secret", ["old", "named", "new"])
    assert sorted(left) == ["named", "new"]


async def test_old_deliveries_go_and_so_do_those_beyond_the_bound(
    table: Webhooks, pool: asyncpg.Pool
) -> None:
    old = attempt()
    await table.record("demo", "h", old)
    await pool.execute("UPDATE webhook_delivery SET attempted_at = now() - interval '31 days'")
    await pool.execute(
        """
        INSERT INTO webhook_delivery SELECT 'demo', 'many', gen_random_uuid(), 1, 1, 1, 'failed',
            1, NULL, 1, '', '', now(), now() - n * interval '1 second'
        FROM generate_series(1, $1) AS n
        """,
        MAX_DELIVERIES + 5,
    )
    await table.forget_deliveries()
    assert await table.delivery("demo", "h", old.delivery_id) is None
    counted = "SELECT count(*), min(attempted_at) > now() - $1::interval FROM webhook_delivery"
    row = await pool.fetchrow(counted, timedelta(seconds=MAX_DELIVERIES + 30))
    assert tuple(row) == (MAX_DELIVERIES, True)
