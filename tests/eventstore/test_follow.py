"""Wake-ups: nudges at once, the poll for what nobody told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeVar

import asyncpg

from eventstore.errors import StoreError
from eventstore.follow import Follower, Wake
from eventstore.store import EventStore
from tests.support.logs import fill

T = TypeVar("T")


async def _soon(awaitable: Awaitable[Wake]) -> tuple[str, int]:
    """The log and the seq of a wake-up that comes soon."""
    wake = await asyncio.wait_for(awaitable, 10)
    return wake.log_id, wake.seq


@asynccontextmanager
async def _running(follower: Follower) -> AsyncIterator[AsyncIterator[Wake]]:
    task = asyncio.create_task(follower.run())
    try:
        yield aiter(follower)
    finally:
        task.cancel()


async def _none_ready(wakes: AsyncIterator[Wake]) -> bool:
    waiting = asyncio.ensure_future(anext(wakes))
    for _ in range(3):
        await asyncio.sleep(0)
    ready = waiting.done()
    waiting.cancel()
    return not ready


async def test_every_log_is_woken_at_the_start(store: EventStore) -> None:
    await fill(store, "demo", 3)
    await fill(store, "other", 1)
    async with _running(Follower(store)) as wakes:
        assert {await _soon(anext(wakes)), await _soon(anext(wakes))} == {
            ("demo", 3),
            ("other", 1),
        }


async def test_the_poll_finds_what_nobody_told(store: EventStore) -> None:
    async with _running(Follower(store, poll_s=0.01)) as wakes:
        for seq in (1, 2, 3):
            await fill(store, "demo", 1)
            assert await _soon(anext(wakes)) == ("demo", seq)


async def test_a_bumped_epoch_wakes_though_no_event_came(store: EventStore) -> None:
    await fill(store, "demo", 1)
    async with _running(Follower(store, poll_s=0.01)) as wakes:
        assert await _soon(anext(wakes)) == ("demo", 1)
        await store.bump_epoch("demo")
        assert await _soon(anext(wakes)) == ("demo", 1)


async def test_a_log_that_lost_its_tail_wakes(
    store: EventStore, connection: asyncpg.Connection
) -> None:
    await fill(store, "demo", 5)
    async with _running(Follower(store, poll_s=0.01)) as wakes:
        assert await _soon(anext(wakes)) == ("demo", 5)
        await connection.execute("UPDATE log_head SET last_seq = 3")
        assert await _soon(anext(wakes)) == ("demo", 3)


async def test_a_nudge_wakes_without_a_poll(store: EventStore) -> None:
    follower = Follower(store)
    wakes = aiter(follower)
    follower.nudge("demo", 4)
    assert await _soon(anext(wakes)) == ("demo", 4)


async def test_nudges_of_what_is_known_wake_nobody(store: EventStore) -> None:
    follower = Follower(store)
    wakes = aiter(follower)
    follower.nudge("demo", 4)
    assert await _soon(anext(wakes)) == ("demo", 4)
    follower.nudge("demo", 4)
    follower.nudge("demo", 3)
    assert await _none_ready(wakes)


async def test_the_poll_does_not_repeat_a_nudge(store: EventStore) -> None:
    await fill(store, "demo", 4)
    await fill(store, "last", 1)
    follower = Follower(store, poll_s=0.01)
    follower.nudge("demo", 4)
    async with _running(follower) as wakes:
        assert await _soon(anext(wakes)) == ("demo", 4)
        assert await _soon(anext(wakes)) == ("last", 1)


async def test_wakes_that_nobody_took_are_merged_and_the_longest_waiting_comes_first(
    store: EventStore,
) -> None:
    follower = Follower(store)
    for log_id, seq in (("demo", 1), ("other", 1), ("demo", 2), ("demo", 3)):
        follower.nudge(log_id, seq)
    wakes = aiter(follower)
    assert await _soon(anext(wakes)) == ("demo", 3)
    follower.nudge("demo", 4)
    assert await _soon(anext(wakes)) == ("other", 1)
    assert await _soon(anext(wakes)) == ("demo", 4)


async def test_a_database_that_is_away_is_noted_and_asked_again(
    store: EventStore, connection: asyncpg.Connection
) -> None:
    await connection.execute("ALTER TABLE log_head RENAME TO hidden")
    follower = Follower(store, poll_s=0.01)
    async with _running(follower) as wakes:
        waiting = asyncio.ensure_future(anext(wakes))
        async with asyncio.timeout(10):
            while follower.trouble is None:
                await asyncio.sleep(0.01)
        assert isinstance(follower.trouble, StoreError)
        await connection.execute("ALTER TABLE hidden RENAME TO log_head")
        await fill(store, "demo", 1)
        assert await _soon(waiting) == ("demo", 1)
        assert follower.trouble is None


class OvertakenStore(EventStore):
    """Somebody nudges with seq 9 while a poll that saw seq 8 is on its way."""

    def overtaken_by(self, follower: Follower) -> None:
        self._follower = follower

    async def positions(self) -> tuple[tuple[str, int, int], ...]:
        self._follower.nudge("demo", 9)
        return (("demo", 1, 8),)


async def test_a_nudge_that_overtakes_the_poll_is_believed(pool: asyncpg.Pool) -> None:
    store = OvertakenStore(pool)
    follower = Follower(store)
    store.overtaken_by(follower)
    async with _running(follower) as wakes:
        assert await _soon(anext(wakes)) == ("demo", 9)
        assert await _none_ready(wakes)
