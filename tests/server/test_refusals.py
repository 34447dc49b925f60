"""Refusals are noted at once and written together; what is lost is counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from msgspec.structs import replace

from eventstore.errors import StoreUnavailable
from eventstore.pool import create_pool
from eventstore.refusals import Refusals, Refused, RefusedAction
from server.refusals import RefusalKeeper

ACTION = RefusedAction("ann", "token", "t1", "flag:write", "shop", None, "POST", "/x", "192.0.2.7")


async def a_month() -> int:
    return 30


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with create_pool(database_url, max_size=2) as pool:
        yield pool


@pytest.fixture
def keeper(pool: asyncpg.Pool) -> RefusalKeeper:
    return RefusalKeeper(Refusals(pool), a_month)


class Broken(Refusals):
    """A database that is away."""

    async def add(self, refused: Sequence[Refused]) -> None:
        raise StoreUnavailable("it is away", outcome_unknown=False)


class Stuck(Refusals):
    """A database that does not answer."""

    async def add(self, refused: Sequence[Refused]) -> None:
        await asyncio.Event().wait()


async def test_the_same_is_one_row_that_says_how_often(keeper: RefusalKeeper) -> None:
    began_at = datetime.now(UTC)
    for permission in ("flag:write", "flag:delete", "flag:write"):
        keeper.note(replace(ACTION, permission=permission))
    await keeper.write()
    last, first = await keeper.stored.page(9)
    assert (first.action, first.times) == (ACTION, 2)
    assert (last.action.permission, last.times) == ("flag:delete", 1)
    assert began_at <= first.refused_at <= datetime.now(UTC)
    assert (keeper.recorded, keeper.lost) == (3, 0)


async def test_it_is_written_by_itself(
    keeper: RefusalKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.refusals.GATHERED_S", 0)
    written = asyncio.Event()
    add = keeper.stored.add

    async def added(refused: Sequence[Refused]) -> None:
        await add(refused)
        written.set()

    monkeypatch.setattr(keeper.stored, "add", added)
    running = asyncio.create_task(keeper.run())
    for _ in range(2):
        keeper.note(ACTION)
        async with asyncio.timeout(10):
            await written.wait()
        written.clear()
    running.cancel()
    await asyncio.wait([running])
    assert len(await keeper.stored.page(9)) == 2


async def test_what_waits_at_the_end_is_written(keeper: RefusalKeeper) -> None:
    running = asyncio.create_task(keeper.run())
    keeper.note(ACTION)
    await keeper.finish(5)
    running.cancel()
    await asyncio.wait([running])
    assert len(await keeper.stored.page(9)) == 1


async def test_beyond_a_bound_it_is_lost_and_counted(
    keeper: RefusalKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.refusals.MAX_WAITING", 2)
    for number in range(5):
        keeper.note(replace(ACTION, project=f"p{number}"))
    keeper.note(replace(ACTION, project="p0"))
    await keeper.write()
    assert (keeper.recorded, keeper.lost) == (3, 3)


async def test_without_a_database_it_is_lost_and_counted(pool: asyncpg.Pool) -> None:
    keeper = RefusalKeeper(Broken(pool), a_month)
    keeper.note(ACTION)
    keeper.note(ACTION)
    await keeper.write()
    assert (keeper.recorded, keeper.lost) == (0, 2)


async def test_the_end_does_not_wait_for_a_database_that_is_stuck(pool: asyncpg.Pool) -> None:
    keeper = RefusalKeeper(Stuck(pool), a_month)
    keeper.note(ACTION)
    await keeper.finish(0.01)
    assert (keeper.recorded, keeper.lost) == (0, 1)


async def test_after_so_many_rows_it_is_tidied_up_at_once(
    keeper: RefusalKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.refusals.TIDIED_AFTER", 4)
    monkeypatch.setattr("eventstore.refusals.MAX_KEPT", 3)
    for number in range(5):
        keeper.note(replace(ACTION, project=f"p{number}"))
    await keeper.write()
    assert len(await keeper.stored.page(9)) == 3


async def test_addresses_go_after_the_days_that_administrators_want(keeper: RefusalKeeper) -> None:
    keeper.note(ACTION)
    await keeper.write()
    for days, address in ((29, ACTION.address), (31, None)):
        await keeper.tidy(datetime.now(UTC) + timedelta(days=days))
        [kept] = await keeper.stored.page(9)
        assert kept.action.address == address
    await keeper.tidy(datetime.now(UTC) + timedelta(days=91))
    assert await keeper.stored.page(9) == []
