"""Made-up keys by the thousand: honest ones are served meanwhile, and the database hardly asked."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import pytest
import redis.asyncio
from halyard_protocol.messages import Resume

from streaming.caller import KeyRefused, NotAvailable
from streaming.gateway import Gateway
from streaming.hub import REST_S
from streaming.lookups import MOST_IDS, NO_ENVIRONMENT, VERDICT_S
from streaming.settings import StreamSettings
from tests.streaming.stage import Stage, stage, until
from tests.streaming.writing import ENV, OTHER_KEY, SERVER_KEY, Ruleset, key_document


class Log:
    """Answers whether Redis is current, as slowly as a database may."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def is_current(self, environment_id: str) -> bool:
        self.asked.append(environment_id)
        await asyncio.sleep(0.05)
        return True


async def outcome(gateway: Gateway, key: str) -> str:
    """What becomes of a request with a key."""
    try:
        await gateway.serve_key(key, 10)
    except KeyRefused:
        return "refused"
    except NotAvailable:
        return "busy"
    return "served"


@pytest.mark.usefixtures("ruleset")
async def test_made_up_environments_do_not_keep_honest_keys_waiting(
    redis_client: redis.asyncio.Redis,
) -> None:
    log = Log()
    async with stage(redis_client, is_current=log.is_current) as running:
        flood = [
            asyncio.create_task(outcome(running.gateway, f"made{number:08}-s-x"))
            for number in range(3 * MOST_IDS)
        ]
        await asyncio.sleep(0)
        began_s = time.monotonic()
        while (honest := await outcome(running.gateway, SERVER_KEY)) != "served":
            assert honest == "busy", "an honest key is never told that it is wrong"
            await asyncio.sleep(0.02)  # as a client that was told to come back
        assert time.monotonic() - began_s < 3
        told = Counter(await asyncio.gather(*flood))
        assert set(told) == {"refused", "busy"}
        assert told["refused"] >= MOST_IDS
        counters = running.gateway.counters
        assert counters.lookups_refused >= told["busy"]
        assert set(log.asked) == {NO_ENVIRONMENT}
        assert len(log.asked) <= 1 + (time.monotonic() - began_s) / VERDICT_S
        assert list(running.gateway.hub.environments) == [ENV]


async def test_a_storm_of_honest_keys_is_not_taken_for_made_up_ones(
    redis_client: redis.asyncio.Redis, ruleset: Ruleset
) -> None:
    async with stage(redis_client) as running:
        keys = [f"{ENV}-s-{number}" for number in range(300)]
        for key in keys:
            ruleset.put(key_document(key), 4, id=key, kind="server")
        await ruleset.write()
        asked = [outcome(running.gateway, key) for key in keys * 5]
        assert set(await asyncio.gather(*asked)) == {"served"}
        assert running.gateway.counters.lookups == 1


async def test_made_up_keys_of_an_environment_are_judged_together(
    redis_client: redis.asyncio.Redis, ruleset: Ruleset
) -> None:
    log, patient = Log(), StreamSettings(silence_s=60, heartbeat_s=60)
    async with stage(redis_client, patient, is_current=log.is_current) as running:
        assert await outcome(running.gateway, SERVER_KEY) == "served"
        reads, began_s = running.gateway.counters.reads, time.monotonic()
        fresh = f"{ENV}-s-fresh"
        flood = []
        for turn in range(10):
            keys = [f"{ENV}-s-made-up-{turn}-{number}" for number in range(50)]
            flood += [asyncio.create_task(outcome(running.gateway, key)) for key in keys]
            if turn == 4:
                change = {"id": "k3", "kind": "server", "name": "three"}
                await ruleset.change_in_silence((key_document(fresh), change))
                flood.append(asyncio.create_task(outcome(running.gateway, fresh)))
            assert await outcome(running.gateway, OTHER_KEY) == "served"
            await asyncio.sleep(0.05)
        assert Counter(await asyncio.gather(*flood)) == {"refused": 500, "served": 1}
        judgements = 3 + (time.monotonic() - began_s) / REST_S
        assert len(log.asked) <= judgements
        assert running.gateway.counters.reads - reads <= 2 * judgements + 2


async def test_a_client_that_makes_the_gateway_look_does_not_hasten_the_judgement_of_made_up_keys(
    redis_client: redis.asyncio.Redis, ruleset: Ruleset
) -> None:
    log, patient = Log(), StreamSettings(silence_s=60, heartbeat_s=60)
    async with stage(redis_client, patient, is_current=log.is_current) as running:
        async with running.client() as ahead:
            began_s = time.monotonic()
            flood = []
            for turn in range(20):
                key = f"{ENV}-s-made-up-{turn}"
                flood.append(asyncio.create_task(outcome(running.gateway, key)))
                await asyncio.sleep(0)
                await ahead.hello(Resume("7.1", 1_000_000))
            assert set(await asyncio.gather(*flood)) == {"refused"}
        assert len(log.asked) <= 3 + (time.monotonic() - began_s) / REST_S


async def test_a_key_that_came_with_another_epoch_is_not_judged_by_the_one_before(
    redis_client: redis.asyncio.Redis, ruleset: Ruleset
) -> None:
    fresh = f"{ENV}-s-fresh"

    async def rebuilt(_environment: str) -> bool:
        if ruleset.generation == "g1":
            ruleset.put(key_document(fresh), 4, id="k3", kind="server")
            await ruleset.swap("g2", epoch=8)
        return True

    patient = StreamSettings(silence_s=60, heartbeat_s=60)
    async with stage(redis_client, patient, is_current=rebuilt) as running:
        assert await outcome(running.gateway, SERVER_KEY) == "served"
        assert await outcome(running.gateway, fresh) == "served"
        assert await outcome(running.gateway, f"{ENV}-s-made-up") == "refused"


async def test_more_made_up_keys_than_can_wait_are_asked_to_come_back(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    assert await outcome(on_stage.gateway, SERVER_KEY) == "served"
    keys = [f"{ENV}-s-made-up-{number}" for number in range(1_500)]
    told = Counter(await asyncio.gather(*(outcome(on_stage.gateway, key) for key in keys)))
    assert set(told) == {"refused", "busy"}
    assert told["busy"] == on_stage.gateway.counters.lookups_refused
    await until(lambda: not on_stage.gateway.hub.environments[ENV]._visitors)


async def test_whoever_has_gone_meanwhile_is_not_looked_for(
    redis_client: redis.asyncio.Redis, ruleset: Ruleset
) -> None:
    async with stage(redis_client) as running:
        await ruleset.redis.client_pause(300)
        async with running.dial():
            await until(lambda: running.gateway.counters.lookups == 1)
        await until(lambda: not running.gateway.connections)
        await ruleset.redis.ping()
        assert await outcome(running.gateway, "made00000000-s-x") == "refused"
        assert not running.gateway.hub.environments
