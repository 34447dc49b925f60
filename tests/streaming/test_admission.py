"""Snapshots that are made aside, and the line before them: over real sockets, with slow readers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import msgspec
import pytest
import redis.asyncio
from halyard_protocol.messages import (
    Changes,
    Heartbeat,
    Hello,
    Resume,
    Snapshot,
    encode_message,
)
from halyard_sdk import AsyncClient

from streaming.connection import Connection
from streaming.settings import StreamSettings
from tests.streaming.browser import browser, plain, with_client_key
from tests.streaming.stage import Client, Stage, stage, until
from tests.streaming.writing import ENV, SERVER_KEY, Ruleset

NARROW = StreamSettings(
    heartbeat_s=0.2, stall_s=60, hello_timeout_s=5, snapshot_budget_bytes=300_000
)
"""Room for two snapshots under way."""


@pytest.fixture
async def large(ruleset: Ruleset) -> Ruleset:
    """The ruleset with forty flags of 100 KB."""
    for number in range(40):
        ruleset.put(f"flag:f{number}", 10, key=f"f{number}", salt="s" * 100_000)
    await ruleset.write()
    return ruleset


def kinds(client: Client) -> list[type]:
    """What it heard, without heartbeats."""
    return [type(each) for each in client.heard if not isinstance(each, Heartbeat)]


async def test_a_crowd_has_its_snapshot_made_once(on_stage: Stage, large: Ruleset) -> None:
    async def come(compression: str | None) -> None:
        async with on_stage.client(compression=compression, max_size=None) as client:
            await client.synchronise()
            assert client.flags == large.flags

    await asyncio.gather(*(come("deflate") for _ in range(12)), *(come(None) for _ in range(3)))
    counters = on_stage.gateway.counters
    assert (counters.snapshots, counters.snapshots_made) == (15, 2)


async def test_a_newcomer_gets_the_snapshot_that_is_there_and_what_changed_since(
    on_stage: Stage, large: Ruleset
) -> None:
    async with large_client(on_stage) as first:
        await first.synchronise()
        await large.change(("flag:f1", {"salt": "t"}), ("flag:f2", None))
        await first.reach(11)
        async with large_client(on_stage) as second:
            welcome = await second.synchronise()
            assert (welcome.seq, second.seq) == (11, 10)
            changes = await second.next_of(Changes)
            assert (changes.from_, changes.to) == (10, 11)
            assert second.flags == large.flags
        assert on_stage.gateway.counters.snapshots_made == 1


async def test_an_sdk_is_ready_only_with_what_changed_since(
    on_stage: Stage, large: Ruleset
) -> None:
    async with on_stage.client(compression="deflate", max_size=None) as first:
        await first.synchronise()
        on = {"variations": [{"key": "on", "value": True}], "fallthrough": {"variation": "on"}}
        await large.change(("flag:f1", {"enabled": True, **on}))
        await first.reach(11)
        async with AsyncClient(on_stage.url.removesuffix("/stream/v1"), SERVER_KEY) as flags:
            assert await flags.wait_ready(10)
            assert flags.variation("f1", {"key": "alice"}, default=False) is True
        assert on_stage.gateway.counters.snapshots_made == 1


async def test_when_much_has_changed_a_new_snapshot_is_made_while_the_old_one_still_serves(
    on_stage: Stage, large: Ruleset
) -> None:
    counters = on_stage.gateway.counters
    async with large_client(on_stage) as first:
        await first.synchronise()
        for number in range(8):
            await large.change((f"flag:f{number}", {"salt": "u" * 100_000}))
        await first.reach(18)
        async with large_client(on_stage) as second:
            await second.synchronise()
            await second.reach(18)
            assert second.flags == large.flags
        await until(lambda: counters.snapshots_made == 2)
        async with large_client(on_stage) as third:
            await third.synchronise()
            assert (third.seq, third.flags) == (18, large.flags)


async def test_joiners_of_another_epoch_get_its_snapshot(on_stage: Stage, large: Ruleset) -> None:
    async with large_client(on_stage) as client:
        await client.synchronise()
        large.put("flag:f1", 10, key="f1", salt="v")
        await large.swap("g2", epoch=8)
        snapshot = await client.next_of(Snapshot)
        assert (snapshot.epoch, client.flags) == ("8.1", large.flags)


async def test_everybody_who_comes_while_flags_change_arrives(
    on_stage: Stage, large: Ruleset
) -> None:
    async def come(number: int) -> None:
        compression = "deflate" if number % 2 else None
        async with on_stage.client(compression=compression, max_size=None) as client:
            if number % 3:
                await client.synchronise()
            else:
                client.flags = dict.fromkeys(large.flags, 10)
                await client.synchronise(Resume("7.1", 10))
            await client.reach(10 + 30)
            assert client.flags == large.flags

    async def change() -> None:
        for number in range(30):
            await large.change((f"flag:f{number % 7}", {"salt": "w" * (number * 1000)}))

    async with asyncio.TaskGroup() as tasks:
        await large_client_is_there(on_stage)
        tasks.create_task(change())
        for number in range(12):
            tasks.create_task(come(number))


async def large_client_is_there(running: Stage) -> None:
    async with large_client(running) as client:
        await client.synchronise()


# --- the line


async def test_those_who_wait_get_pings_and_no_changes(
    redis_client: redis.asyncio.Redis, large: Ruleset
) -> None:
    async with stage(redis_client, NARROW) as running, contextlib.AsyncExitStack() as stack:
        slow = [await stack.enter_async_context(slow_client(running)) for _ in range(2)]
        await until(lambda: under_way(running) == 2)
        waiting = await stack.enter_async_context(large_client(running))
        await waiting.hello()
        assert running.gateway.status().waiting_for_snapshot == 1
        await large.change(("flag:f1", {"salt": "t"}))
        (behind,) = (each for each in connections(running) if each.session.writable)
        pings = running.gateway.counters.pings
        await until(lambda: running.gateway.counters.pings >= pings + 4)
        assert behind.is_open
        assert kinds(waiting) == [type(each) for each in waiting.heard[:1]]
        slow[0].connection.transport.abort()
        await waiting.reach(11)
        assert kinds(waiting)[1:] == [Snapshot, Changes]
        assert waiting.flags == large.flags


async def test_a_reader_that_takes_its_time_gives_its_share_back_and_is_served_to_the_end(
    redis_client: redis.asyncio.Redis, large: Ruleset
) -> None:
    patient = msgspec.structs.replace(NARROW, heartbeat_s=60, share_kept_s=0.3)
    async with stage(redis_client, patient) as running, contextlib.AsyncExitStack() as stack:
        slow = [await stack.enter_async_context(slow_client(running)) for _ in range(2)]
        await until(lambda: under_way(running) == 2)
        waiting = await stack.enter_async_context(large_client(running))
        await waiting.synchronise()
        for client in slow:
            client.connection.transport.resume_reading()
            await client.next_of(Snapshot)
            assert client.flags == large.flags


async def test_the_line_is_in_order_of_arrival(
    redis_client: redis.asyncio.Redis, large: Ruleset
) -> None:
    async with stage(redis_client, NARROW) as running, contextlib.AsyncExitStack() as stack:
        slow = [await stack.enter_async_context(slow_client(running)) for _ in range(7)]
        await until(lambda: under_way(running) == 2)
        assert running.gateway.status().waiting_for_snapshot == 5
        for gone in range(5):
            slow[gone].connection.transport.abort()
            await until(partial(snapshots_sent, running, gone + 3))
            admitted = [not connection.session.writable for connection in connections(running)]
            assert admitted == [True, True] + [False] * (4 - gone)


async def test_a_client_with_its_snapshot_half_written_is_closed_when_nothing_moves(
    redis_client: redis.asyncio.Redis, large: Ruleset
) -> None:
    strict = StreamSettings(stall_s=0.4, closing_s=0.2, heartbeat_s=0.2)
    async with stage(redis_client, strict) as running, slow_client(running):
        await until(lambda: running.gateway.counters.closes[4408] == 1)
        await until(lambda: not running.gateway.connections)
        assert under_way(running) == 0
        assert running.gateway.counters.behind == 0


async def test_those_with_the_oldest_of_too_many_superseded_snapshots_are_closed(
    redis_client: redis.asyncio.Redis, large: Ruleset
) -> None:
    small = StreamSettings(stall_s=60, heartbeat_s=60, snapshot_budget_bytes=9_000_000)
    async with stage(redis_client, small) as running, contextlib.AsyncExitStack() as stack:
        closes = running.gateway.counters.closes
        for generation in range(3):
            await stack.enter_async_context(slow_client(running))
            await until(partial(snapshots_sent, running, generation + 1))
            changes = [(f"flag:f{n}", {"salt": f"{generation}" * 100_000}) for n in range(30)]
            await large.change(*changes)
            await until(partial(is_at, running, large.seq))
        assert closes == {4408: 1}
        assert under_way(running) == 2


async def test_catch_ups_to_heads_that_are_past_are_bounded_too(
    redis_client: redis.asyncio.Redis, large: Ruleset
) -> None:
    small = StreamSettings(stall_s=60, heartbeat_s=60, snapshot_budget_bytes=5_000_000)
    async with stage(redis_client, small) as running, contextlib.AsyncExitStack() as stack:
        closes = running.gateway.counters.closes
        async with running.client() as quick:
            await quick.hello(Resume("7.1", 10))
        for number in range(3):
            changes = [(f"flag:f{n}", {"salt": f"{number}" * 100_000}) for n in range(20)]
            await large.change(*changes)
            await until(partial(is_at, running, large.seq))
            await stack.enter_async_context(slow_client(running, Resume("7.1", 10)))
        await until(lambda: closes == {4408: 1})
        assert under_way(running) == 2


async def test_broadcasts_of_the_past_are_bounded_too(
    redis_client: redis.asyncio.Redis, large: Ruleset
) -> None:
    small = StreamSettings(stall_s=60, heartbeat_s=60, snapshot_budget_bytes=9_000_000)
    async with stage(redis_client, small) as running, contextlib.AsyncExitStack() as stack:
        for number in range(3):
            resume = Resume("7.1", large.seq)
            await stack.enter_async_context(slow_client(running, resume))
            changes = [(f"flag:f{n}", {"salt": f"{number}" * 100_000}) for n in range(40)]
            await large.change(*changes)
            await until(partial(is_at, running, large.seq))
        await until(lambda: running.gateway.counters.closes == {4408: 1})
        assert under_way(running) == 2


async def test_values_that_pages_do_not_take_in_are_bounded_too(
    redis_client: redis.asyncio.Redis, ruleset: Ruleset
) -> None:
    small = StreamSettings(stall_s=60, heartbeat_s=60, snapshot_budget_bytes=18_000_000)
    await with_client_key(ruleset)
    variations = [{"key": "on", "value": "v" * 8_000_000}, {"key": "off", "value": ""}]
    off = {"serve": {"variation": "off"}}
    first = {"id": "r", "when": {"attribute": "key", "op": "in", "values": ["0"]}, **off}
    last = {"id": "r", "when": {"attribute": "key", "op": "in", "values": ["2"]}, **off}
    await ruleset.change(
        plain("large", variations=variations), plain("f", rules=[first]), plain("l", rules=[last])
    )
    async with stage(redis_client, small) as running, contextlib.AsyncExitStack() as stack:
        counters = running.gateway.counters
        for number in range(3):
            page = await stack.enter_async_context(
                browser(running, compression=None, max_size=None, close_timeout=0.1)
            )
            page.connection.transport.pause_reading()
            stack.callback(page.connection.transport.abort)
            hello = Hello(protocol=1, context={"key": str(number)})
            await page.connection.send(encode_message(hello).decode())
            await until(partial(values_sent, running, number + 1))
        await until(lambda: counters.closes == {4408: 1})
        assert len(running.gateway.hub.environments[ENV].browsers.connections()) == 2


def large_client(running: Stage) -> Any:
    return running.client(max_size=None)


@contextlib.asynccontextmanager
async def slow_client(running: Stage, resume: Resume | None = None) -> AsyncIterator[Client]:
    """A client that does not read on after its welcome."""
    async with running.client(max_size=None, close_timeout=0.1) as client:
        await client.hello(resume)
        client.connection.transport.pause_reading()
        yield client
        client.connection.transport.abort()


def connections(running: Stage) -> tuple[Connection, ...]:
    return tuple(running.gateway.hub.environments[ENV].connections)


def snapshots_sent(running: Stage, number: int) -> bool:
    return running.gateway.counters.snapshots == number


def values_sent(running: Stage, number: int) -> bool:
    return running.gateway.counters.value_frames == number


def is_at(running: Stage, seq: int) -> bool:
    return running.gateway.hub.environments[ENV].feed.changed == seq


def under_way(running: Stage) -> int:
    """How many are being sent something that they have not taken in."""
    return sum(not connection.session.writable for connection in connections(running))
