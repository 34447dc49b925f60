"""Attempts are counted, in Redis and without it."""

from __future__ import annotations

import asyncio

import pytest
import redis.asyncio

from server.logins import throttle as module
from server.logins.throttle import Limit, Throttle, account_subject, address_subject
from tests.support.program import free_port

THREE = Limit("test", 3, 60.0)


@pytest.fixture(params=["redis", "nothing", "a redis that is away"])
def throttle(
    request: pytest.FixtureRequest,
    redis_client: redis.asyncio.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> Throttle:
    match request.param:
        case "redis":
            return Throttle(redis_client)
        case "nothing":
            return Throttle(None)
        case _:
            monkeypatch.setattr(module, "REDIS_TIMEOUT_S", 0.05)
            return Throttle(redis.asyncio.Redis(port=free_port()))


async def test_the_fourth_of_three_waits_and_does_not_prolong_it(throttle: Throttle) -> None:
    assert [await throttle.take(THREE, "ada") for _ in range(3)] == [0, 0, 0]
    first = await throttle.take(THREE, "ada")
    assert 0 < first <= 60
    assert await throttle.take(THREE, "ada") <= first
    assert await throttle.take(THREE, "bob") == 0


async def test_what_is_given_back_can_be_taken_again(throttle: Throttle) -> None:
    for _ in range(3):
        await throttle.take(THREE, "ada")
    await throttle.give_back(THREE, "ada")
    assert await throttle.take(THREE, "ada") == 0
    assert await throttle.take(THREE, "ada") > 0
    await throttle.clear(THREE, "ada")
    assert await throttle.take(THREE, "ada") == 0


async def test_nothing_is_owed_to_who_took_nothing(throttle: Throttle) -> None:
    await throttle.give_back(THREE, "ada")
    assert [await throttle.take(THREE, "ada") for _ in range(3)] == [0, 0, 0]
    assert await throttle.take(THREE, "ada") > 0


async def test_of_many_at_once_three_go_on(throttle: Throttle) -> None:
    waits = await asyncio.gather(*(throttle.take(THREE, "ada") for _ in range(20)))
    assert waits.count(0) == 3


async def test_a_window_ends(redis_client: redis.asyncio.Redis) -> None:
    short = Limit("short", 1, 0.05)
    throttle = Throttle(redis_client)
    assert await throttle.take(short, "ada") == 0
    async with asyncio.timeout(5):
        while await throttle.take(short, "ada"):
            pass


async def test_redis_learns_neither_names_nor_addresses_and_forgets_by_itself(
    redis_client: redis.asyncio.Redis,
) -> None:
    await Throttle(redis_client).take(THREE, "ada@example.org")
    [key] = [key async for key in redis_client.scan_iter("halyard:attempts:*")]
    assert b"ada" not in key
    assert 0 < await redis_client.pttl(key) <= 60_000


async def test_what_one_process_remembers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LOCAL", 5)
    throttle = Throttle(None)
    for number in range(50):
        await throttle.take(THREE, str(number))
    assert len(throttle._local._counts) == 5


def test_one_account_and_one_subscriber_are_counted_as_one() -> None:
    assert account_subject("Ada@Example.ORG") == account_subject("ada@example.org")
    assert account_subject("\uff21da@example.org") == account_subject("ada@example.org")
    assert address_subject("2001:db8::1") == address_subject("2001:db8::ffff:1")
    assert address_subject("2001:db8::1") != address_subject("2001:db8:0:1::1")
    assert address_subject("::ffff:192.0.2.1") == address_subject("192.0.2.1")
    assert address_subject("") == ""
