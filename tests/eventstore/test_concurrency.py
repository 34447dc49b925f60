"""Many writers, kills, rollbacks: every reader sees a dense prefix, every command counts once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from eventstore.appending import append as append_on
from eventstore.chain import verify
from eventstore.errors import StoreBusy, StoreUnavailable
from eventstore.log import Appended, Behind, Duplicate, NewCommand, empty_head
from eventstore.pool import create_pool
from eventstore.store import EventStore
from tests.support.logs import append, batch_at, fill, new_command, new_event


async def _until_recorded(store: EventStore, log_id: str, command: NewCommand) -> None:
    """What a process does with a command: follow, append, and after an unknown outcome again."""
    head = empty_head(log_id)
    while True:
        try:
            answer = await store.append(batch_at(head, command))
        except (StoreUnavailable, StoreBusy):
            continue
        match answer:
            case Appended() | Duplicate():
                return
            case Behind():
                head = answer.head
            case _:
                raise AssertionError(answer)


async def _write(store: EventStore, writer: int, commands: int) -> list[NewCommand]:
    chance = random.Random(writer)
    written = []
    for number in range(commands):
        events = (new_event() for _ in range(chance.randrange(1, 4)))
        command = new_command(*events, actor_id=f"acc-{writer}", idempotency_key=f"{number}")
        await _until_recorded(store, "demo", command)
        written.append(command)
    return written


@asynccontextmanager
async def _reader(store: EventStore) -> AsyncIterator[None]:
    """Reads on and on meanwhile, and fails where it did not see a dense prefix."""
    stop = asyncio.Event()

    async def read() -> None:
        last = 0
        while not stop.is_set():
            try:
                head = await store.head("demo")
                page = await store.read("demo", last, 1000)
            except StoreUnavailable:
                continue
            assert [event.seq for event in page] == list(range(last + 1, last + 1 + len(page)))
            last += len(page)
            assert last >= head.last_seq

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(read())
        yield
        stop.set()


async def _assert_each_counted_once(store: EventStore, written: list[list[NewCommand]]) -> None:
    commands = {command.command_id: command for some in written for command in some}
    events = await store.read("demo", 0, 100_000)
    assert len(events) == sum(len(command.events) for command in commands.values())
    runs: list[tuple[str, list[str]]] = []
    for event in events:
        if not runs or events[event.seq - 2].ends_delta:
            runs.append((event.command_id, []))
        runs[-1][1].append(event.event_id)
    assert dict(runs) == {
        name: [event.event_id for event in command.events] for name, command in commands.items()
    }
    assert len(runs) == len(commands)
    assert (await verify(store, "demo")).problems == ()


async def test_concurrent_writers_make_one_dense_log(store: EventStore) -> None:
    async with _reader(store):
        written = await asyncio.gather(*(_write(store, writer, 15) for writer in range(6)))
    await _assert_each_counted_once(store, list(written))


async def _kill_again_and_again(killer: asyncpg.Connection, done: asyncio.Event) -> int:
    """Terminate busy backends whenever the log has grown a little since the last time."""
    killed_at, kills = -1, 0
    while not done.is_set():
        head = await killer.fetchval("SELECT max(last_seq) FROM log_head") or 0
        if head <= killed_at + 3:
            continue
        killed = await killer.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = 'halyard' "
            "AND state = 'active' AND query LIKE '%append_events%'"
        )
        killed_at, kills = head if killed else killed_at, kills + killed
    return kills


async def test_killed_connections_lose_nothing_and_repeat_nothing(
    database_url: str, connection: asyncpg.Connection
) -> None:
    async with create_pool(database_url, max_size=8) as pool:
        store, done = EventStore(pool), asyncio.Event()
        killing = asyncio.create_task(_kill_again_and_again(connection, done))
        async with _reader(store):
            written = await asyncio.gather(*(_write(store, writer, 12) for writer in range(5)))
        done.set()
        assert await killing >= 5
        await _assert_each_counted_once(store, list(written))


async def test_an_answer_lost_after_the_commit_is_given_again(
    store: EventStore, connection: asyncpg.Connection, database_url: str
) -> None:
    command = new_command(new_event(), outcome=b"the answer")
    lost = await asyncpg.connect(database_url)
    async with store.append_locked("demo") as log:
        batch = batch_at(log.head, command)
        attempt = asyncio.create_task(append_on(lost, batch))
        await _waiting_for_the_head(connection, lost.get_server_pid())
        lost.terminate()
        with pytest.raises(StoreUnavailable) as unavailable:
            await attempt
        assert unavailable.value.outcome_unknown
    async with asyncio.timeout(10):
        while (await store.head("demo")).last_seq == 0:
            pass
    answer = await store.append(batch)
    assert isinstance(answer, Duplicate)
    assert [recorded.outcome for recorded in answer.recorded.values()] == [b"the answer"]


async def test_a_backend_killed_before_it_wrote_has_written_nothing(
    store: EventStore, connection: asyncpg.Connection, database_url: str
) -> None:
    victim = await asyncpg.connect(database_url)
    async with store.append_locked("demo") as log:
        attempt = asyncio.create_task(append_on(victim, batch_at(log.head, new_command())))
        await _waiting_for_the_head(connection, victim.get_server_pid())
        await connection.execute("SELECT pg_terminate_backend($1)", victim.get_server_pid())
        with pytest.raises(StoreUnavailable):
            await attempt
    assert (await store.head("demo")).last_seq == 0


async def _waiting_for_the_head(connection: asyncpg.Connection, pid: int) -> None:
    async with asyncio.timeout(10):
        while not await connection.fetchval("SELECT pg_blocking_pids($1) <> '{}'", pid):
            pass


async def test_a_rolled_back_append_leaves_no_gap(store: EventStore) -> None:
    class Abandoned(Exception):
        pass

    async def abandon() -> None:
        async with store.append_locked("demo") as log:
            await log.append((new_command(new_event(), new_event()),))
            raise Abandoned

    async with _reader(store):
        for _ in range(5):
            results = await asyncio.gather(_write(store, 1, 1), abandon(), return_exceptions=True)
            assert isinstance(results[1], Abandoned)
    assert [event.seq for event in await store.read("demo", 0, 100)] == list(
        range(1, 1 + (await store.head("demo")).last_seq)
    )


async def test_the_same_command_from_many_callers_counts_once(store: EventStore) -> None:
    command = new_command(new_event())
    await asyncio.gather(*(_until_recorded(store, "demo", command) for _ in range(8)))
    assert (await store.head("demo")).last_seq == 1


async def test_first_appends_of_a_new_log_do_not_collide(store: EventStore) -> None:
    head = await store.head("new")
    answers = await asyncio.gather(
        *(store.append(batch_at(head, new_command(new_event()))) for _ in range(8))
    )
    kinds = sorted(type(answer).__name__ for answer in answers)
    assert kinds == ["Appended", *["Behind"] * 7]


async def test_logs_do_not_wait_for_each_other(store: EventStore) -> None:
    async with store.append_locked("demo"):
        await asyncio.wait_for(append(store, "other", new_command(new_event())), 5)


async def test_a_held_head_keeps_appends_waiting_and_then_behind(store: EventStore) -> None:
    start = (await fill(store, "demo", 1)).head
    async with store.append_locked("demo") as log:
        waiting = asyncio.create_task(store.append(batch_at(start, new_command(new_event()))))
        assert isinstance(await log.append((new_command(new_event()),)), Appended)
        assert not waiting.done()
    answer = await asyncio.wait_for(waiting, 5)
    assert isinstance(answer, Behind)
    assert [event.seq for event in answer.missing] == [2]


async def test_a_cancelled_append_is_settled_by_its_record(store: EventStore) -> None:
    command = new_command(new_event())
    async with store.append_locked("demo") as log:
        attempt = asyncio.create_task(store.append(batch_at(log.head, command)))
        await asyncio.sleep(0)
        attempt.cancel()
    await asyncio.gather(attempt, return_exceptions=True)
    await _until_recorded(store, "demo", command)
    assert (await store.head("demo")).last_seq == 1
