"""The projector of a process: every log in a task of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import asyncpg
import pytest
from redis.asyncio import Redis

from domain import commands as c
from eventstore.pool import create_pool
from eventstore.store import EventStore
from projections.log_projector import LogProjector
from projections.rulesets import Delta, Rulesets, channel, decode_published
from projections.runner import Projector
from tests.support.logs import append, new_command, new_event
from tests.support.projecting import assert_exact, meta, stored_log


@asynccontextmanager
async def running(projector: Projector) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(projector.run())
    yield task
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Ask again and again; a test that waits in vain fails by its time limit."""
    async with asyncio.timeout(20):
        while not await condition():
            await asyncio.sleep(0.005)


def stands(redis: Redis, env: str, seq: int) -> Callable[[], Awaitable[bool]]:
    async def reached() -> bool:
        found = await Rulesets(redis).meta(env)
        return found is not None and found.seq >= seq

    return reached


async def test_logs_are_found_and_followed(store: EventStore, redis_client: Redis) -> None:
    first = await stored_log(store, "first")
    projector = Projector(store, redis_client)
    async with running(projector):
        await until(stands(redis_client, first.env(), 3))
        second = await stored_log(store, "second")
        await until(stands(redis_client, second.env(), 3))
        seq = await second.do(c.CreateFlag("alpha"))
        await until(stands(redis_client, second.env(), seq))
    assert [log.log_id for log in projector.standings()] == ["first", "second"]
    assert all(log.seq == log.last_seq and not log.trouble for log in projector.standings())


async def test_the_log_of_the_installation_is_not_projected(
    store: EventStore, redis_client: Redis
) -> None:
    account = new_event("acc-1", entity_kind="account", type="AccountCreated", body=b"{}")
    await append(store, "$system", new_command(account))
    log = await stored_log(store)
    projector = Projector(store, redis_client)
    async with running(projector):
        await until(stands(redis_client, log.env(), 3))
    assert [standing.log_id for standing in projector.standings()] == ["demo"]


async def test_a_nudge_publishes_a_change_at_once(store: EventStore, redis_client: Redis) -> None:
    log = await stored_log(store)
    projector = Projector(store, redis_client)
    async with running(projector), redis_client.pubsub() as subscription:
        await until(stands(redis_client, log.env(), 3))
        await subscription.ssubscribe(channel(log.env()))
        await subscription.get_message(timeout=5)
        seq = await log.do(c.CreateFlag("alpha"))
        projector.nudge(log.log_id, seq)
        message = await subscription.get_message(ignore_subscribe_messages=True, timeout=5)
        delta = decode_published(message["data"])
    assert isinstance(delta, Delta)
    assert (delta.to, list(delta.documents)) == (seq, ["flag:alpha"])


async def test_a_flush_heals_by_itself(store: EventStore, redis_client: Redis) -> None:
    log = await stored_log(store)
    async with running(Projector(store, redis_client)):
        await until(stands(redis_client, log.env(), 3))
        await redis_client.flushall()
        begun_s = asyncio.get_running_loop().time()
        await until(stands(redis_client, log.env(), 3))
        assert asyncio.get_running_loop().time() - begun_s < 5
    await assert_exact(store, redis_client, "demo")


async def test_a_loss_found_in_one_log_is_looked_for_in_all(
    store: EventStore, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = [await stored_log(store, f"log-{n}") for n in range(5)]
    monkeypatch.setattr("projections.runner.LOGS_CHECKED_PER_S", 1 / 1000)
    projector = Projector(store, redis_client)
    async with running(projector):
        for log in logs:
            await until(stands(redis_client, log.env(), 3))
        await redis_client.flushall()
        await logs[2].do(c.CreateFlag("alpha"))
        for log in logs:
            await until(stands(redis_client, log.env(), 3))


async def test_a_poisoned_log_delays_no_other(store: EventStore, redis_client: Redis) -> None:
    bad, good = await stored_log(store, "bad"), await stored_log(store, "good")
    await append(store, "bad", new_command(new_event(type="FlagPainted")))
    projector = Projector(store, redis_client)
    async with running(projector):
        await until(stands(redis_client, bad.env(), 3))
        seq = await good.do(c.CreateFlag("alpha"))
        await until(stands(redis_client, good.env(), seq))
    assert (await meta(redis_client, bad.env())).seq == 3
    standings = {standing.log_id: standing for standing in projector.standings()}
    assert "FlagPainted at seq 4" in standings["bad"].poisoned
    assert standings["good"].poisoned == ""


async def test_two_projectors_at_once_are_harmless(store: EventStore, redis_client: Redis) -> None:
    log = await stored_log(store)
    await log.do(c.CreateFlag("alpha"))
    async with running(Projector(store, redis_client)), running(Projector(store, redis_client)):
        for _ in range(25):
            await log.do(c.EnableFlag("alpha", "production"))
            await log.do(c.DisableFlag("alpha", "production"))
        seq = await log.do(c.CreateFlag("beta"))
        await until(stands(redis_client, log.env("production"), seq))
        await until(stands(redis_client, log.env("development"), seq))
    await assert_exact(store, redis_client, "demo")
    assert (await meta(redis_client, log.env())).content == 1


async def test_trouble_with_the_database_is_waited_out(
    store: EventStore, pool: asyncpg.Pool, database_url: str, redis_client: Redis
) -> None:
    log = await stored_log(store)
    async with create_pool(database_url, application_name="doomed") as doomed:
        projector = Projector(EventStore(doomed), redis_client)
        async with running(projector):
            await until(stands(redis_client, log.env(), 3))
            await pool.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'doomed'"
            )
            seq = await log.do(c.CreateFlag("alpha"))
            await until(stands(redis_client, log.env(), seq))
    await assert_exact(store, redis_client, "demo")


async def test_a_fault_of_the_program_stops_it(
    store: EventStore, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fault(_: LogProjector) -> None:
        raise AssertionError("a fault")

    monkeypatch.setattr(LogProjector, "go_round", fault)
    await stored_log(store)
    with pytest.raises(ExceptionGroup):
        await Projector(store, redis_client).run()
