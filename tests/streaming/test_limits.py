"""How many may come in, how quickly, and when the others are told to come back."""

from __future__ import annotations

import heapq
import itertools
import math
import random
import re

import pytest
import redis.asyncio
from halyard_sdk import AsyncClient
from websockets.exceptions import InvalidStatus

from streaming.keys import SdkKey
from streaming.limits import LONGEST_WAIT_S, Limits, TokenBucket
from streaming.settings import StreamSettings
from tests.streaming.stage import Client, stage
from tests.streaming.writing import OTHER_KEY


def test_a_bucket_gives_what_it_has_and_then_so_many_a_second() -> None:
    bucket = TokenBucket(10)
    assert [bucket.take(0) for _ in range(10)] == [0.0] * 10
    assert bucket.take(0) > 0
    assert bucket.take(0.1) == 0
    assert bucket.take(0.1) > 0
    assert [bucket.take(60) for _ in range(10)] == [0.0] * 10
    assert bucket.take(60) > 0


def test_each_of_those_in_line_is_told_a_later_time() -> None:
    bucket = TokenBucket(10)
    told = [bucket.take(5) for _ in range(15)][10:]
    assert told == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert bucket.take(5.05) == pytest.approx(0.55)


def test_the_line_is_forgotten_as_its_times_pass() -> None:
    bucket = TokenBucket(1)
    assert [bucket.take(0) for _ in range(4)] == pytest.approx([0, 1, 2, 3])
    assert bucket.take(2) == 0
    assert bucket.take(9) == 0
    assert bucket.take(9) == pytest.approx(1)


def test_nobody_is_sent_away_for_long_nor_all_for_equally_long() -> None:
    bucket = TokenBucket(1)
    told = [bucket.take(0) for _ in range(10_000)][100:]
    assert max(told) <= LONGEST_WAIT_S
    assert min(told) >= LONGEST_WAIT_S / 2
    in_each_second = [sum(math.ceil(wait) == second for wait in told) for second in range(16, 31)]
    assert min(in_each_second) > 9_900 / 15 * 0.8


@pytest.mark.parametrize("jitter_s", [0.0, 0.2, 2.0])
def test_a_storm_of_those_who_come_back_when_they_are_told_to_ends_soon(jitter_s: float) -> None:
    bucket, chance, number = TokenBucket(1_000), random.Random(7), itertools.count()
    coming = [(chance.random() * 0.5, next(number), 1) for _ in range(10_000)]
    heapq.heapify(coming)
    attempts, now_s = 0, 0.0
    while coming:
        now_s, _, attempt = heapq.heappop(coming)
        attempts = max(attempts, attempt)
        wait_s = math.ceil(bucket.take(now_s))
        if wait_s:
            back_s = now_s + wait_s + chance.random() * jitter_s
            heapq.heappush(coming, (back_s, next(number), attempt + 1))
    assert now_s < 10 + 2 * jitter_s + 1
    assert attempts <= 4


def key(name: str, kind: str = "server") -> SdkKey:
    return SdkKey("env000000001", kind, f"key:{name}")  # type: ignore[arg-type]


def test_a_server_key_may_have_all_connections_and_a_client_key_half() -> None:
    limits = Limits(StreamSettings(max_connections=10))
    assert [limits.enter(key("a")) for _ in range(11)] == [True] * 10 + [False]
    assert [limits.enter(key("b", "client")) for _ in range(6)] == [True] * 5 + [False]
    limits.leave("key:b")
    assert limits.enter(key("b", "client"))


def test_keys_that_nobody_holds_any_more_are_forgotten() -> None:
    limits = Limits(StreamSettings())
    for name in ("a", "b", "a"):
        limits.enter(key(name))
    for name in ("a", "b", "a"):
        limits.leave(f"key:{name}")
    assert not limits._of_key


@pytest.mark.usefixtures("ruleset")
async def test_one_key_may_hold_so_many_connections(redis_client: redis.asyncio.Redis) -> None:
    async with stage(redis_client, StreamSettings(max_connections_per_key=2)) as running:
        clients = [Client(await running.dial()) for _ in range(2)]
        for client in clients:
            await client.synchronise()
        async with running.client() as another:
            assert await another.closed() == (4429, "too many connections with this key")
        async with running.client(OTHER_KEY) as other:
            await other.synchronise()
        await clients.pop().connection.close()
        async with running.client() as another:
            await another.synchronise()
        await clients.pop().connection.close()


@pytest.mark.usefixtures("ruleset")
async def test_handshakes_beyond_the_rate_are_told_when_to_come_back(
    redis_client: redis.asyncio.Redis,
) -> None:
    settings = StreamSettings(handshakes_per_second=1)
    async with stage(redis_client, settings) as running, running.client() as client:
        await client.synchronise()
        told = []
        for _ in range(3):
            with pytest.raises(InvalidStatus) as refused:
                await running.dial()
            assert refused.value.response.status_code == 503
            told.append(int(refused.value.response.headers["Retry-After"]))
        assert told == [1, 2, 3]
        assert running.gateway.counters.refused == 3


@pytest.mark.usefixtures("ruleset")
async def test_sdks_that_are_sent_away_come_back_and_are_served(
    redis_client: redis.asyncio.Redis,
) -> None:
    settings = StreamSettings(handshakes_per_second=2)
    async with stage(redis_client, settings) as running:
        url = re.sub("^ws(.*)/stream/v1$", r"http\1", running.url)
        clients = [AsyncClient(url, OTHER_KEY) for _ in range(5)]
        for client in clients:
            await client.start()
        for client in clients:
            assert await client.wait_ready(10)
        assert running.gateway.counters.refused >= 3
        for client in clients:
            await client.close()


@pytest.mark.usefixtures("ruleset")
async def test_an_upgrade_to_another_path_costs_a_handshake_too(
    redis_client: redis.asyncio.Redis,
) -> None:
    async with stage(redis_client, StreamSettings(handshakes_per_second=1)) as running:
        running.url += "/elsewhere"
        for status in (404, 503):
            with pytest.raises(InvalidStatus) as refused:
                await running.dial()
            assert refused.value.response.status_code == status
