"""Appending: positions, recorded commands, times."""

from __future__ import annotations

from datetime import timedelta

import asyncpg
import pytest

from eventstore.errors import StoreConflict
from eventstore.log import GENESIS, Appended, Batch, Behind, Duplicate, Forked, Recorded
from eventstore.store import EventStore
from tests.support.logs import append, batch_at, fill, new_command, new_event


async def test_the_first_append_begins_the_log_at_seq_1(store: EventStore) -> None:
    appended = await append(store, "demo", new_command(new_event()))
    assert appended.head.last_seq == 1
    assert appended.head.epoch > 1_700_000_000
    assert await store.head("demo") == appended.head


async def test_what_was_appended_is_read_back_whole(store: EventStore) -> None:
    event = new_event(environment=None, body=b"\x00\xff", critical=False, schema_version=3)
    command = new_command(event, correlation_id=None, causation_id="cause")
    appended = await append(store, "demo", command)
    (stored,) = await store.read("demo", after=0, limit=10)
    assert (stored.log_id, stored.seq, stored.hash) == ("demo", 1, appended.head.last_hash)
    assert stored.recorded_at == appended.first_at == appended.head.last_at
    for field in event.__struct_fields__:
        assert getattr(stored, field) == getattr(event, field)
    for field in ("actor_id", "command_id", "correlation_id", "causation_id"):
        assert getattr(stored, field) == getattr(command, field)


async def test_only_the_last_event_of_a_command_ends_a_delta(store: EventStore) -> None:
    await append(
        store,
        "demo",
        new_command(new_event(), new_event(revision=2)),
        new_command(),
        new_command(new_event(revision=3)),
    )
    events = await store.read("demo", 0, 10)
    assert [(event.seq, event.ends_delta) for event in events] == [(1, False), (2, True), (3, True)]


async def test_a_command_without_events_is_recorded_and_moves_nothing(store: EventStore) -> None:
    before = (await fill(store, "demo", 2)).head
    appended = await append(store, "demo", new_command(idempotency_key="idle"))
    assert appended.head == before
    assert (await store.recorded("demo", [("acc-1", "idle")]))["acc-1", "idle"].last_seq == 2


async def test_one_who_is_behind_gets_what_is_missing_and_writes_nothing(store: EventStore) -> None:
    start = await store.head("demo")
    seen = (await fill(store, "demo", 2)).head
    head = (await append(store, "demo", *(new_command(new_event()) for _ in range(3)))).head
    for position, missing in ((start, [1, 2, 3, 4, 5]), (seen, [3, 4, 5])):
        answer = await store.append(batch_at(position, new_command(new_event())))
        assert isinstance(answer, Behind)
        assert [event.seq for event in answer.missing] == missing
        assert answer.missing == tuple(await store.read("demo", position.last_seq, 10))
        assert answer.head == head
    assert await store.head("demo") == head


@pytest.mark.parametrize("seq", [1, 2, 3])
async def test_a_position_that_is_not_on_the_log_is_a_fork(store: EventStore, seq: int) -> None:
    head = (await fill(store, "demo", 2)).head
    elsewhere = Batch("demo", seq, GENESIS, (new_command(new_event()),))
    assert await store.append(elsewhere) == Forked(head)


async def test_a_recorded_command_is_answered_from_the_record_wherever_the_caller_stands(
    store: EventStore,
) -> None:
    start = await store.head("demo")
    command = new_command(new_event(), idempotency_key="once", outcome=b"first answer")
    head = (await append(store, "demo", command)).head
    again = new_command(new_event(), idempotency_key="once", request_hash=b"other")
    for position in (start, head):
        answer = await store.append(batch_at(position, new_command(new_event()), again))
        recorded = Recorded(b"request", b"first answer", 1)
        assert answer == Duplicate({("acc-1", "once"): recorded})
    assert await store.head("demo") == head


async def test_keys_are_scoped_to_log_and_actor(store: EventStore) -> None:
    command = new_command(new_event(), idempotency_key="once")
    await append(store, "demo", command)
    await append(store, "other", command)
    await append(store, "demo", new_command(idempotency_key="once", actor_id="acc-2"))
    for log_id, actor in (("demo", "acc-3"), ("other", "acc-2")):
        assert await store.recorded(log_id, [(actor, "once")]) == {}
    both = [("acc-1", "once"), ("acc-2", "once")]
    assert set(await store.recorded("demo", [*both, ("acc-1", "never")])) == set(both)


async def test_another_actors_key_is_no_answer_to_one_who_is_behind(store: EventStore) -> None:
    start = await store.head("demo")
    await append(store, "demo", new_command(new_event(), idempotency_key="once"))
    for changes in ({"actor_id": "acc-2"}, {"idempotency_key": "other"}):
        mine = new_command(new_event(), **{"idempotency_key": "once", **changes})
        assert isinstance(await store.append(batch_at(start, mine)), Behind)


async def test_a_batch_that_names_a_command_twice_is_refused_whole(store: EventStore) -> None:
    command = new_command(new_event(), idempotency_key="twice")
    with pytest.raises(StoreConflict) as refused:
        await append(store, "demo", command, command)
    assert refused.value.constraint == "command_pkey"
    assert (await store.head("demo")).last_seq == 0


async def test_times_rise_by_a_microsecond_where_the_clock_was_stepped_back(
    store: EventStore, connection: asyncpg.Connection
) -> None:
    await fill(store, "demo", 1)
    ahead = await connection.fetchval(
        "UPDATE log_head SET last_at = now() + interval '1 day' RETURNING last_at"
    )
    appended = await fill(store, "demo", 3)
    times = [event.recorded_at for event in await store.read("demo", 1, 10)]
    assert times == [ahead + timedelta(microseconds=n) for n in (1, 2, 3)]
    assert (appended.first_at, appended.head.last_at) == (times[0], times[-1])


async def test_deciding_under_the_lock_reads_and_appends_at_the_head(store: EventStore) -> None:
    await fill(store, "demo", 3)
    async with store.append_locked("demo") as log:
        assert [event.seq for event in await log.read(after=1)] == [2, 3]
        answer = await log.append((new_command(new_event()),))
        assert isinstance(answer, Appended)
        assert (await store.head("demo")).last_seq == 3
    assert await store.head("demo") == answer.head
    assert answer.head.last_seq == 4


async def test_what_fails_under_the_lock_leaves_no_trace_and_frees_the_log(
    store: EventStore,
) -> None:
    class Refused(Exception):
        pass

    async def refused() -> None:
        async with store.append_locked("demo") as log:
            await log.append((new_command(new_event()),))
            raise Refused

    with pytest.raises(Refused):
        await refused()
    assert (await store.head("demo")).last_seq == 0
    await fill(store, "demo", 1)
