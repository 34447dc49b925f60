"""How long news take, as the gateway measures it on real sockets."""

from __future__ import annotations

import json
import time
from contextlib import AsyncExitStack

import redis.asyncio

from projections.rulesets import channel
from streaming.counters import Counters
from tests.streaming.stage import Stage, until
from tests.streaming.writing import ENV, Ruleset

HOUR_US = 3_600 * 1_000_000


def now_us() -> int:
    return time.time_ns() // 1000


def measured(counters: Counters) -> tuple[int, int, int, int]:
    return (
        counters.hear_s.count,
        counters.first_write_s.count,
        counters.last_write_s.count,
        counters.commit_to_write_s.count,
    )


async def test_a_change_is_measured_once_however_many_are_told(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    counters = on_stage.gateway.counters
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(on_stage.client()) for _ in range(5)]
        for client in clients:
            await client.synchronise()
        ruleset.committed_us, ruleset.sent_us = now_us() - 2_000_000, now_us() - 1_000_000
        await ruleset.change(("flag:a", {}))
        for client in clients:
            await client.reach(11)
        await until(lambda: counters.commit_to_write_s.count == 1)
    assert measured(counters) == (1, 1, 1, 1)
    assert 1 <= counters.hear_s.sum < 2 <= counters.commit_to_write_s.sum < 5
    assert 0 < counters.first_write_s.sum < 1
    assert 0 <= counters.last_write_s.sum < 1


async def test_of_old_projectors_only_what_this_clock_measured_is_told(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    async with on_stage.client() as client:
        await client.synchronise()
        await ruleset.change(("flag:a", {}))
        await client.reach(11)
        await until(lambda: on_stage.gateway.counters.last_write_s.count == 1)
    assert measured(on_stage.gateway.counters) == (0, 1, 1, 0)


async def test_a_clock_that_is_ahead_makes_no_time_negative(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    counters = on_stage.gateway.counters
    async with on_stage.client() as client:
        await client.synchronise()
        ruleset.committed_us = ruleset.sent_us = now_us() + HOUR_US
        await ruleset.change(("flag:a", {}))
        await client.reach(11)
        await until(lambda: counters.commit_to_write_s.count == 1)
    assert (counters.hear_s.sum, counters.commit_to_write_s.sum) == (0, 0)
    assert counters.hear_s.counts[0] == counters.commit_to_write_s.counts[0] == 1


async def test_what_nobody_is_there_for_is_not_told(
    on_stage: Stage, ruleset: Ruleset, redis_client: redis.asyncio.Redis
) -> None:
    counters = on_stage.gateway.counters
    async with on_stage.client() as client:
        await client.synchronise()
    await until(lambda: not on_stage.gateway.connections)
    ruleset.committed_us = ruleset.sent_us = now_us() - HOUR_US
    await ruleset.change(("flag:a", {}))
    await until(lambda: on_stage.gateway.hub.environments[ENV].feed.changed == 11)
    ruleset.committed_us = ruleset.sent_us = now_us()
    async with on_stage.client() as client:
        await client.synchronise()
        await ruleset.change(("flag:a", {}))
        await client.reach(12)
        await until(lambda: counters.commit_to_write_s.count == 1)
    assert counters.hear_s.count == 2
    assert counters.commit_to_write_s.sum < 60


async def test_a_delta_of_what_was_read_already_leaves_no_time_behind(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    counters = on_stage.gateway.counters
    async with on_stage.client() as client:
        await client.synchronise()
        repeat = {"type": "delta", "epoch": "7.1", "from": 9, "to": 10, "seq": 10, "hash": "h10"}
        times = {"committedUs": now_us() - HOUR_US, "sentUs": now_us() - HOUR_US}
        await ruleset.redis.spublish(channel(ENV), json.dumps({**repeat, **times, "documents": {}}))
        await until(lambda: counters.repeats == 1)
        ruleset.committed_us = ruleset.sent_us = now_us()
        await ruleset.change(("flag:a", {}))
        await client.reach(11)
        await until(lambda: counters.commit_to_write_s.count == 1)
    assert counters.commit_to_write_s.sum < 60
