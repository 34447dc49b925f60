"""A replica that has not heard everything becomes the master: found out, and repaired."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from eventstore.pool import create_pool
from eventstore.store import EventStore
from projections.rebuild import rebuild
from projections.rulesets import Rulesets, generation_keys, wire_epoch_order
from server.redis_client import connect_redis
from tests.streaming.line import Line, line
from tests.support.forwarder import Forwarder
from tests.support.sentinel import WatchedPair
from tests.support.valkey_process import ValkeyProcess, free_ports, started

pytestmark = pytest.mark.adversity


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with create_pool(database_url) as pool:
        yield pool


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[WatchedPair]:
    with WatchedPair(tmp_path) as pair:
        yield pair


@pytest.fixture
async def running(pool: asyncpg.Pool, pair: WatchedPair) -> AsyncIterator[Line]:
    async with connect_redis(pair.url) as redis, line(EventStore(pool), redis) as running:
        yield running


async def test_what_a_failover_has_lost_is_written_again_and_no_sdk_goes_back(
    pair: WatchedPair, running: Line
) -> None:
    (rebuilt, one), (_, other), *_ = running.sdks.items()
    await running.change(5)
    await running.assert_converged()
    known = one.client.seq
    await asyncio.to_thread(pair.cut_off_replica)
    await put_into_another_content(running, rebuilt)
    await running.change(10)
    await running.assert_converged()
    assert min(one.client.seq, other.client.seq) > known
    await running.change_while(asyncio.ensure_future(asyncio.to_thread(pair.fail_over)))
    await running.assert_converged()
    assert all(each.stale for each in running.sdks.values())
    assert running.stage.gateway.status().stale == ()
    # The log is the same: nobody had to begin anew who had not done so before.
    assert len(other.epochs) == 1
    assert [wire_epoch_order(epoch)[1] for epoch in one.epochs] == [1, 2]


async def put_into_another_content(running: Line, env: str) -> None:
    """Have a ruleset that was tampered with rebuilt: its SDKs get another wire epoch."""
    redis = running.redis
    assert isinstance(redis, Redis)
    meta = await Rulesets(redis).meta(env)
    assert meta is not None
    await redis.hset(generation_keys(env, meta.generation)[1], "environment", b"{}")
    await rebuild(running.log.store, redis, running.log.log_id)


async def test_behind_an_address_that_stays_a_master_that_was_demoted_is_left(
    pool: asyncpg.Pool, tmp_path: Path
) -> None:
    first, second = (ValkeyProcess(tmp_path / str(port), port) for port in free_ports(2))
    with started(first, second):
        second.follow(first)
        async with Forwarder(first.port).running() as address:
            url = f"redis://127.0.0.1:{address.port}"
            async with connect_redis(url) as redis, line(EventStore(pool), redis) as running:
                await running.change(5)
                second.client.replicaof("NO", "ONE")
                await running.change(10)  # the other one will not have heard of it
                await running.assert_converged()
                address.target = second.port
                # It goes on answering on the connections that it has, and refuses what is written.
                await asyncio.to_thread(first.follow, second)
                await running.assert_converged()
                assert {len(sdk.epochs) for sdk in running.sdks.values()} == {1}
