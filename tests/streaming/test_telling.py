"""Exposures and events over real sockets, into a real database."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import asyncpg
import pytest
from halyard_protocol.close_codes import CloseCode
from halyard_protocol.messages import (
    Exposure,
    Exposures,
    Track,
    TrackingEvent,
    encode_message,
)

from eventstore.analytics import Analytics, Span
from eventstore.contexts import ContextSamples
from eventstore.pool import create_pool
from streaming.upstream.settings import Allowed, UpstreamSettings
from tests.streaming.browser import Browser, browser, plain, with_client_key
from tests.streaming.stage import Client, Stage, stage, until
from tests.streaming.writing import ENV, OTHER_KEY, SERVER_KEY, Ruleset

EVENT = TrackingEvent("bought", 1, value=2.0)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with create_pool(database_url, max_size=6) as pool:
        yield pool


def exposures(times: int, flag: str = "a") -> Exposures:
    return Exposures(0, 0, {flag: (Exposure(10, "on", "FALLTHROUGH", times),)})


async def tell(client: Client, *messages: Exposures | Track) -> None:
    for message in messages:
        await client.connection.send(encode_message(message).decode())


async def counted(pool: asyncpg.Pool, flag: str = "a") -> int:
    now = datetime.now(UTC)
    span = Span(now - timedelta(days=1), now + timedelta(days=1))
    totals = await Analytics(pool).exposure_totals(ENV, flag, span)
    return max(total.count for total in totals)


async def test_what_sdks_tell_is_in_the_database_soon(
    ruleset: Ruleset, on_stage: Stage, pool: asyncpg.Pool
) -> None:
    upstream, counters = on_stage.gateway.upstream, on_stage.gateway.counters
    upstream.sink = Analytics(pool).write
    upstream.settings = UpstreamSettings(flush_s=0.01)
    writing = asyncio.create_task(upstream.run())
    async with on_stage.client() as one, on_stage.client(OTHER_KEY) as two:
        await one.synchronise()
        await two.synchronise()
        await tell(one, exposures(3), Track((EVENT,)))
        await tell(two, exposures(4), exposures(1, "nobody"))
        await until(lambda: counters.exposures[ENV] == 7)
        await until(lambda: upstream.waiting == 0)
    writing.cancel()
    await upstream.finish(5)
    assert await counted(pool) == 7
    now = datetime.now(UTC)
    span = Span(now - timedelta(days=1), now + timedelta(days=1))
    (event,) = await Analytics(pool).events_by_name(ENV, span, 10)
    assert (event.name, event.count, event.total) == ("bought", 1, 2.0)
    (loss,) = await Analytics(pool).losses(ENV, span)
    assert (loss.reason, loss.count) == ("unknown", 1)
    assert ruleset.env == ENV


async def test_two_gateways_whose_connections_are_cut_count_everything_once(
    ruleset: Ruleset, redis_client: Any, pool: asyncpg.Pool, database_url: str
) -> None:
    """Whatever is cut, and whenever: in mid-statement, in mid-commit, after it."""
    assert ruleset.env == ENV
    killer = await asyncpg.connect(database_url)
    told = 0
    async with stage(redis_client) as left, stage(redis_client) as right:
        clients = []
        for each in (left, right):
            each.gateway.upstream.sink = Analytics(pool).write
            each.gateway.upstream.settings = UpstreamSettings(batch_rows=3)
        async with left.client(SERVER_KEY) as one, right.client(SERVER_KEY) as two:
            clients = [one, two]
            for client in clients:
                await client.synchronise()
            for n in range(30):
                message = exposures(n + 1, "abc"[n % 3])
                told += n + 1
                await tell(clients[n % 2], message)
                await until(partial(_accepted, told, left, right))
                flushing = [asyncio.create_task(s.gateway.upstream.flush()) for s in (left, right)]
                for _ in range(n % 5):
                    await asyncio.sleep(0)
                await killer.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND application_name = 'halyard' "
                    "AND state <> 'idle'"
                )
                await asyncio.gather(*flushing)
        for each in (left, right):
            for _ in range(3):
                await each.gateway.upstream.flush()
        failures = [each.gateway.counters.upstream_failures for each in (left, right)]
    assert any(failures)
    assert sum([await counted(pool, flag) for flag in "abc"]) == told
    await killer.close()


def _accepted(told: int, *stages: Stage) -> bool:
    return sum(each.gateway.counters.exposures[ENV] for each in stages) == told


async def test_a_flood_is_dropped_and_in_the_end_closed(ruleset: Ruleset, on_stage: Stage) -> None:
    assert ruleset.env == ENV
    upstream = on_stage.gateway.upstream
    upstream.settings = UpstreamSettings(of_server_keys=Allowed(at_once=100, per_second=1))
    async with on_stage.client() as flooding, on_stage.client(OTHER_KEY) as decent:
        await flooding.synchronise()
        await decent.synchronise()
        flood = Track((EVENT,) * 90)
        for _ in range(8):
            await tell(flooding, flood)
        code, reason = await flooding.closed()
        assert code == CloseCode.LIMIT
        assert "exposures and events" in reason
        await tell(decent, exposures(5))
        await until(lambda: on_stage.gateway.counters.exposures[ENV] == 5)
    counters = on_stage.gateway.counters
    assert counters.tracking_events == {ENV: 90}
    assert counters.upstream_lost["events", "flood"] >= 5 * 90


async def test_exposures_of_the_wrong_shape_close_the_connection_and_say_why(
    ruleset: Ruleset, on_stage: Stage
) -> None:
    assert ruleset.env == ENV
    async with on_stage.client() as client:
        await client.synchronise()
        await client.connection.send('{"type":"exposures","from":1,"to":2,"flags":{"a":[{}]}}')
        code, reason = await client.closed()
    assert code == CloseCode.BAD_MESSAGE
    assert "`version`" in reason
    assert "$.flags" in reason


async def test_what_comes_before_the_key_is_judged_is_nobodys(
    ruleset: Ruleset, on_stage: Stage
) -> None:
    assert ruleset.env == ENV
    async with on_stage.client(f"{ENV}-s-wrong") as client:
        await tell(client, exposures(3))
        assert (await client.closed())[0] == CloseCode.KEY_REFUSED
    counters = on_stage.gateway.counters
    assert (counters.exposures_refused, counters.exposures) == (3, {})


async def test_counting_goes_on_while_the_environment_changes_and_ends_when_it_goes(
    ruleset: Ruleset, on_stage: Stage, pool: asyncpg.Pool
) -> None:
    upstream = on_stage.gateway.upstream
    upstream.sink = Analytics(pool).write
    async with on_stage.client() as client:
        await client.synchronise()
        await ruleset.change(("flag:a", None))
        await client.reach(ruleset.seq)
        await tell(client, exposures(2))
        await until(lambda: on_stage.gateway.counters.exposures[ENV] == 2)
        gone = itertools.filterfalse(lambda name: not name.startswith("key:"), ruleset.documents)
        await ruleset.change(*((name, None) for name in tuple(gone)))
        assert (await client.closed())[0] == CloseCode.KEY_REFUSED
    await upstream.finish(5)
    assert await counted(pool) == 2


async def test_what_a_page_says_of_its_visitor_is_sampled_and_what_it_is_shown_counted(
    ruleset: Ruleset, on_stage: Stage, pool: asyncpg.Pool
) -> None:
    upstream, counters = on_stage.gateway.upstream, on_stage.gateway.counters
    upstream.sink = Analytics(pool).write
    await with_client_key(ruleset)
    await ruleset.change(plain("a", trackExposures=True))
    async with on_stage.client() as server:
        # Contexts are sampled where the key is known when they come.
        await server.synchronise()
        async with browser(on_stage) as page:
            await tell_of_visitors(page)
            await until(lambda: counters.upstream_lost.total() == 1)
    await upstream.finish(5)
    assert (await counted(pool), await counted(pool, "b")) == (2, 0)
    values = {each.value for each in await ContextSamples(pool).values(ENV)}
    assert values == {"alice", "bob", "free", "pro"}


async def tell_of_visitors(page: Browser) -> None:
    await page.start({"key": "alice", "plan": "free"})
    await page.identify({"key": "bob", "plan": "pro"})
    of_hidden = Exposures(0, 0, {"b": exposures(1).flags["a"]}, ({"key": "made-up"},))
    for message in (exposures(2), of_hidden):
        await page.connection.send(encode_message(message).decode())
