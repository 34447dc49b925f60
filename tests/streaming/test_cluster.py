"""On a real Redis Cluster of three masters and three replicas, under load."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator

import asyncpg
import pytest
from redis.exceptions import RedisError

from eventstore.pool import create_pool
from eventstore.store import EventStore
from projections.rulesets import active_key
from projections.script import RedisClient
from tests.streaming.line import ENVIRONMENTS, TRUSTING, Line, line
from tests.support.cluster import ClusterServers, Node
from tests.support.valkey_process import wait_until

pytestmark = pytest.mark.adversity


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with create_pool(database_url) as pool:
        yield pool


@pytest.fixture
async def running(pool: asyncpg.Pool, cluster_client: RedisClient) -> AsyncIterator[Line]:
    async with line(EventStore(pool), cluster_client) as running:
        yield running


def on_node(cluster: ClusterServers, running: Line, node: Node) -> set[str]:
    """The environments in use whose slots a node owns."""
    return {env for env in running.sdks if cluster.owner(active_key(env)) is node}


async def test_what_is_written_reaches_sdks_of_every_node(
    cluster: ClusterServers, running: Line
) -> None:
    spread = [on_node(cluster, running, node) for node in cluster.masters()]
    assert all(spread), "the environments of this test must lie on every node"
    assert sum(map(len, spread)) == len(ENVIRONMENTS)
    await running.change(30)
    await running.assert_converged()
    assert not any(sdk.stale for sdk in running.sdks.values())


async def test_a_killed_master_is_felt_by_its_own_environments_only_and_not_for_long(
    cluster: ClusterServers, running: Line
) -> None:
    env = running.log.env("production")
    master = cluster.owner(active_key(env))
    concerned = on_node(cluster, running, master)

    def kill_and_wait() -> None:
        master.send(signal.SIGKILL)
        cluster.wait_for_another_owner(active_key(env), master)

    work = asyncio.ensure_future(asyncio.to_thread(kill_and_wait))
    await running.change_while(work)
    await running.assert_converged()
    stale = {each for each, sdk in running.sdks.items() if sdk.stale}
    assert env in stale
    assert stale <= concerned
    assert running.stage.gateway.status().stale == ()


@pytest.fixture
async def trusting(
    pool: asyncpg.Pool, cluster_client: RedisClient, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Line]:
    """What the subscription does not find out, nothing does."""
    monkeypatch.setattr("streaming.cluster_subscription.RECHECK_S", 60)
    async with line(EventStore(pool), cluster_client, TRUSTING) as running:
        yield running


async def test_a_slot_whose_keys_move_one_by_one_is_followed(
    cluster: ClusterServers, trusting: Line
) -> None:
    pointer = active_key(trusting.log.env("production"))
    source = cluster.owner(pointer)
    target = next(node for node in cluster.masters() if node is not source)
    events = trusting.log.log.events

    def while_more_is_written() -> None:
        before = len(events)
        wait_until(lambda: len(events) >= before + 5)

    for there in (target, source, target):
        moving = asyncio.to_thread(cluster.move_slot, pointer, there, while_more_is_written)
        await trusting.change_while(asyncio.ensure_future(moving))
    await trusting.assert_converged()
    assert cluster.owner(pointer) is target


async def test_a_slot_that_moves_in_one_piece_is_followed(
    cluster: ClusterServers, trusting: Line
) -> None:
    pointer = active_key(trusting.log.env("production"))
    source = cluster.owner(pointer)
    target = next(node for node in cluster.masters() if node is not source)
    for there in (target, source, target):
        moving = asyncio.to_thread(cluster.migrate_slot, pointer, there)
        await trusting.change_while(asyncio.ensure_future(moving))
    await trusting.assert_converged()
    assert cluster.owner(pointer) is target


async def test_a_master_that_is_lost_with_its_replica_delays_nobody_else_and_is_written_anew(
    cluster: ClusterServers, cluster_client: RedisClient, running: Line
) -> None:
    env = running.log.env("production")
    master = cluster.owner(active_key(env))
    concerned = on_node(cluster, running, master)
    replica = cluster.replica_of(master)
    for node in (replica, master):
        node.send(signal.SIGKILL)
    end = await running.touch_all()
    await running.others_reach(end, concerned)
    assert all(running.sdks[each].client.seq < end for each in concerned)
    with pytest.raises(RedisError):
        await cluster_client.ping()
    await asyncio.to_thread(cluster.heal)
    await running.assert_converged()
    assert {each for each, sdk in running.sdks.items() if sdk.stale} == concerned
    assert {len(sdk.epochs) for sdk in running.sdks.values()} == {1}


async def test_a_master_that_hangs_delays_the_others_once_and_is_left_for_its_replica(
    cluster: ClusterServers, running: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.cluster.NODE_TIMEOUT_S", 2.0)
    monkeypatch.setattr("projections.keeper.PROBE_S", 0.05)
    env = running.log.env("production")
    master = cluster.owner(active_key(env))
    concerned = on_node(cluster, running, master)
    replica = cluster.replica_of(master)
    for node in (replica, master):
        node.send(signal.SIGSTOP)
    try:
        await running.others_reach(await running.touch_all(), concerned)
        await running.others_reach(await running.touch_all(), concerned)
        async with asyncio.timeout(4 * 2.0):  # were the master waited for each time, 6 * 2.0
            for _ in range(6):
                await running.others_reach(await running.touch_all(), concerned)
        replica.send(signal.SIGCONT)
        survivors = [node for node in cluster.nodes if node is not master]
        await asyncio.to_thread(cluster.wait_for_another_owner, active_key(env), master, survivors)
        await running.assert_converged()
    finally:
        for node in (replica, master):
            node.send(signal.SIGCONT)
    assert running.stage.gateway.status().stale == ()
