"""Trouble between the gateway and Redis: nothing is lost for good, and nobody is sent away."""

from __future__ import annotations

import json
import time
from typing import Any

import msgspec
import pytest
import redis.asyncio
from halyard_protocol.messages import Changes, Heartbeat, Snapshot
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from projections.rulesets import channel
from streaming.environment import Environment
from streaming.settings import StreamSettings
from tests.streaming.stage import QUICK, Client, Stage, stage, until
from tests.streaming.writing import ENV, SERVER_KEY, Ruleset


def environment(running: Stage) -> Environment:
    return running.gateway.hub.environments[ENV]


async def test_a_lost_message_is_noticed_in_the_silence_after_it(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    async with on_stage.client() as client:
        await client.synchronise()
        await ruleset.change_in_silence(("flag:a", {}), ("flag:b", None))
        await client.reach(11)
        assert client.flags == ruleset.flags


async def test_a_message_after_a_lost_one_repairs_at_once(
    redis_client: redis.asyncio.Redis, ruleset: Ruleset
) -> None:
    patient = StreamSettings(silence_s=60, heartbeat_s=60)
    async with stage(redis_client, patient) as running, running.client() as client:
        await client.synchronise()
        await ruleset.change_in_silence(("flag:a", {}))
        await ruleset.change(("flag:b", None))
        await client.reach(12)
        assert client.flags == ruleset.flags
        assert running.gateway.counters.gaps == 1


async def test_a_repeated_message_changes_nothing(on_stage: Stage, ruleset: Ruleset) -> None:
    async with on_stage.client() as client:
        await client.synchronise()
        await ruleset.change(("flag:a", {}))
        await client.reach(11)
        document = ruleset.documents["flag:a"]
        repeat: dict[str, Any] = {"type": "delta", "epoch": "7.1", "from": 10, "to": 11, "seq": 11}
        repeat |= {"hash": "h11", "documents": {"flag:a": document}}
        await ruleset.redis.spublish(channel(ENV), json.dumps(repeat))
        await until(lambda: on_stage.gateway.counters.repeats > 0)
        await ruleset.change(("flag:b", {}))
        await client.reach(12)
        assert sum(isinstance(message, Changes) for message in client.heard) == 2


@pytest.mark.parametrize("message", ["not json", '{"type":"novelty"}', '{"type":"delta"}'])
async def test_an_unreadable_message_makes_the_gateway_look(
    on_stage: Stage, ruleset: Ruleset, message: str
) -> None:
    async with on_stage.client() as client:
        await client.synchronise()
        await ruleset.change_in_silence(("flag:a", {}))
        await ruleset.redis.spublish(channel(ENV), message)
        await client.reach(11)
        assert on_stage.gateway.counters.unreadable == 1


async def test_an_emptied_redis_changes_nothing_but_the_heartbeats(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    async with on_stage.client() as client:
        await client.synchronise()
        await ruleset.redis.flushall()
        await heartbeats(client, stale=True)
        async with on_stage.client() as newcomer:
            await newcomer.synchronise()
            assert newcomer.flags == ruleset.flags
        status = on_stage.gateway.status()
        assert status.ready
        assert status.stale == (ENV,)
        await ruleset.write()
        await heartbeats(client, stale=False)
        await ruleset.change(("flag:a", {}))
        await client.reach(11)
        assert sum(isinstance(message, Snapshot) for message in client.heard) == 1


async def heartbeats(client: Client, *, stale: bool) -> None:
    while (await client.next_of(Heartbeat)).stale is not stale:
        pass


async def test_an_older_redis_replaces_nothing(on_stage: Stage, ruleset: Ruleset) -> None:
    async with on_stage.client() as client:
        await client.synchronise()
        await ruleset.change(("flag:a", {}))
        await client.reach(11)
        newest = dict(ruleset.documents)
        ruleset.documents["flag:a"] = {"key": "a", "version": 10}
        ruleset.changed = ruleset.seq = 10
        await ruleset.write()
        await heartbeats(client, stale=True)
        assert client.flags["a"] == 11
        ruleset.documents, ruleset.changed, ruleset.seq = newest, 11, 11
        await ruleset.write()
        await heartbeats(client, stale=False)


async def test_a_broken_subscription_is_made_anew_and_what_was_missed_is_read(
    redis_client: redis.asyncio.Redis, ruleset: Ruleset
) -> None:
    patient = StreamSettings(silence_s=60, heartbeat_s=60)
    async with stage(redis_client, patient) as running, running.client() as client:
        await client.synchronise()
        await redis_client.client_kill_filter(_type="pubsub", skipme=False)
        await ruleset.change_in_silence(("flag:a", {}))
        await client.reach(11)
        assert running.gateway.counters.subscription_losses >= 1
        await ruleset.change(("flag:b", {}))
        await client.reach(12)


async def test_a_deaf_subscription_is_found_out_by_a_probe(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    async with on_stage.client() as client:
        await client.synchronise()
        subscription: Any = on_stage.gateway.hub._subscription
        pubsub = subscription._pubsub
        await pubsub.execute_command("SUNSUBSCRIBE", channel(ENV))  # as if by a failover
        await until(lambda: on_stage.gateway.counters.deaf >= 1)
        await until(lambda: environment(on_stage).subscribed)
        await ruleset.change(("flag:a", {}))
        await client.reach(11)


async def test_silence_alone_is_no_reason_to_subscribe_anew(
    redis_client: redis.asyncio.Redis, ruleset: Ruleset
) -> None:
    # A probe may take much longer than it does, so that a busy machine is not taken for deaf.
    settings = msgspec.structs.replace(QUICK, probe_s=2)
    async with stage(redis_client, settings) as running, running.client() as client:
        await client.synchronise()
        begun_s = time.monotonic()
        while time.monotonic() < begun_s + 1.5 * settings.probe_s:
            await client.next_of(Heartbeat)
        counters = running.gateway.counters
        assert (counters.deaf, counters.subscription_losses) == (0, 0)


async def test_an_environment_is_dropped_some_time_after_its_last_connection(
    redis_client: redis.asyncio.Redis, ruleset: Ruleset
) -> None:
    quick = StreamSettings(linger_s=0.2, watch_s=0.05)
    async with stage(redis_client, quick) as running:
        async with running.client() as client:
            await client.synchronise()
        await until(lambda: not running.gateway.hub.environments)
        numbers = await redis_client.pubsub_shardnumsub(channel(ENV))
        assert dict(numbers).get(channel(ENV).encode(), 0) == 0
        async with running.client() as client:
            await client.synchronise()
            await ruleset.change(("flag:a", {}))
            await client.reach(11)


async def test_nobody_waits_for_ever_for_a_redis_that_is_not_there(unused_tcp_port: int) -> None:
    nowhere = redis.asyncio.Redis(port=unused_tcp_port, retry=Retry(NoBackoff(), 0))
    async with nowhere, stage(nowhere) as running, running.dial() as connection:
        client = Client(connection)
        assert (await client.closed())[0] == 1011


@pytest.mark.usefixtures("ruleset")
async def test_the_status_says_what_is_so(on_stage: Stage) -> None:
    assert on_stage.gateway.status().ready
    async with on_stage.client(SERVER_KEY) as client:
        await client.synchronise()
        status = on_stage.gateway.status()
    assert (status.ready, status.draining, status.connections) == (True, False, 1)
    assert (status.environments, status.unsynchronised, status.stale) == (1, (), ())
