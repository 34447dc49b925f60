"""Reading: pages, revisions, times, snapshots, epochs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from domain.facts import Entity
from eventstore.log import Snapshot, empty_head
from eventstore.store import NEWEST_SNAPSHOTS, SNAPSHOT_SPAN, EventStore
from tests.support.logs import Tamper, append, fill, new_command, new_event


async def _pages(store: EventStore, page_size: int, upto: int | None = None) -> list[list[int]]:
    pages = store.read_pages("demo", 0, upto, page_size)
    return [[event.seq for event in page] async for page in pages]


async def test_a_log_to_which_nothing_was_appended_is_empty(store: EventStore) -> None:
    head = await store.head("demo")
    assert head == empty_head("demo")
    assert (head.epoch, head.last_seq) == (0, 0)
    assert await store.read("demo", 0, 10) == []
    assert await store.heads() == ()


async def test_a_read_is_bounded_by_both_ends_and_the_limit(store: EventStore) -> None:
    await fill(store, "demo", 9)
    await fill(store, "other", 3)
    assert [event.seq for event in await store.read("demo", 3, 2)] == [4, 5]
    assert [event.seq for event in await store.read("demo", 3, 10, upto=6)] == [4, 5, 6]
    assert [event.seq for event in await store.read("demo", 0, 2, upto=6)] == [1, 2]


async def test_heads_and_positions_name_every_log(store: EventStore) -> None:
    await fill(store, "b", 2)
    await fill(store, "a", 1)
    heads = await store.heads()
    assert heads == (await store.head("a"), await store.head("b"))
    assert set(await store.positions()) == {(h.log_id, h.epoch, h.last_seq) for h in heads}


async def test_pages_end_where_deltas_end(store: EventStore) -> None:
    sizes = [1, 3, 1, 7, 2]
    await append(
        store, "demo", *(new_command(*(new_event() for _ in range(size))) for size in sizes)
    )
    assert await _pages(store, 100) == [list(range(1, 15))]
    assert await _pages(store, 3) == [[1], [2, 3, 4, 5], [6, 7, 8, 9, 10, 11, 12], [13, 14]]
    for page_size in range(1, 16):
        pages = await _pages(store, page_size)
        assert [seq for page in pages for seq in page] == list(range(1, 15))
        assert {page[-1] for page in pages} <= {1, 4, 5, 12, 14}
    assert await _pages(store, 3, upto=5) == [[1], [2, 3, 4, 5]]


async def test_no_pages_are_read_from_an_empty_log(store: EventStore) -> None:
    assert await _pages(store, 10) == []


async def test_what_came_between_two_revisions_is_told_of_one_entity_alone(
    store: EventStore,
) -> None:
    for revision in (1, 2, 3, 4):
        await append(
            store,
            "demo",
            new_command(
                new_event(revision=revision, environment="production"),
                new_event(revision=revision, environment="staging"),
                new_event(revision=revision, environment=None),
                new_event("other", revision=revision),
                new_event(revision=revision, entity_kind="segment"),
            ),
        )
    production = Entity("flag", "checkout", "production")
    for entity in (production, Entity("flag", "checkout")):
        between = await store.events_between_revisions("demo", entity, 2)
        assert [event.revision for event in between] == [3, 4]
        assert {event.environment for event in between} == {entity.environment}
        assert {(event.entity_kind, event.entity_key) for event in between} == {
            ("flag", "checkout")
        }
    revisions = {
        after: [
            e.revision for e in await store.events_between_revisions("demo", production, after, 2)
        ]
        for after in (0, 3, 4, 9)
    }
    assert revisions == {0: [3, 4], 3: [4], 4: [], 9: []}
    assert await store.events_between_revisions("demo", Entity("flag", "no-such"), 0) == []


async def test_an_instant_names_exactly_one_seq(store: EventStore) -> None:
    await fill(store, "demo", 3)
    times = [event.recorded_at for event in await store.read("demo", 0, 3)]
    microsecond = timedelta(microseconds=1)
    assert [await store.seq_at("demo", at) for at in times] == [1, 2, 3]
    assert await store.seq_at("demo", times[0] - microsecond) == 0
    assert await store.seq_at("demo", times[2] + timedelta(days=1)) == 3
    assert await store.seq_at("demo", datetime(2020, 1, 1, tzinfo=UTC)) == 0


async def _snapshot(store: EventStore, seq: int, version: int = 1) -> Snapshot:
    at = (await store.read("demo", seq - 1, 1))[0].hash
    return Snapshot("demo", "project", version, seq, at, b"state at %d" % seq)


async def test_the_newest_snapshot_up_to_a_seq_is_loaded(store: EventStore) -> None:
    await fill(store, "demo", 9)
    for seq in (7, 2, 5):
        assert await store.save_snapshot(await _snapshot(store, seq))
    await store.save_snapshot(await _snapshot(store, 9, version=2))
    assert await store.load_snapshot("demo", "project", 1) == await _snapshot(store, 7)
    assert await store.load_snapshot("demo", "project", 1, upto=6) == await _snapshot(store, 5)
    assert await store.load_snapshot("demo", "project", 1, upto=1) is None
    assert await store.load_snapshot("demo", "other", 1) is None


async def test_a_snapshot_that_is_not_on_this_log_is_neither_stored_nor_loaded(
    store: EventStore, tamper: Tamper
) -> None:
    await fill(store, "demo", 4)
    beyond = Snapshot("demo", "project", 1, 5, b"x" * 32, b"")
    assert not await store.save_snapshot(beyond)
    assert await store.save_snapshot(await _snapshot(store, 2))
    assert await store.save_snapshot(await _snapshot(store, 4))
    await tamper("UPDATE event SET hash = sha256(hash) WHERE seq = 4")
    loaded = await store.load_snapshot("demo", "project", 1)
    assert loaded is not None
    assert loaded.seq == 2


async def test_a_damaged_snapshot_is_passed_over(store: EventStore, tamper: Tamper) -> None:
    await fill(store, "demo", 4)
    for seq in (2, 3, 4):
        await store.save_snapshot(await _snapshot(store, seq))
    await tamper("UPDATE snapshot SET state = 'damaged' WHERE seq > 2")
    assert await store.load_snapshot("demo", "project", 1) == await _snapshot(store, 2)


async def test_old_snapshots_are_thinned_to_one_in_a_span(
    store: EventStore, tamper: Tamper
) -> None:
    step = SNAPSHOT_SPAN // 2
    await fill(store, "demo", 12)
    await tamper(f"UPDATE event SET seq = -seq; UPDATE event SET seq = -seq * {step}")
    await store.save_snapshot(await _snapshot(store, step, version=7))
    for number in range(1, 13):
        await store.save_snapshot(await _snapshot(store, number * step))
    kept: list[int] = []
    while snapshot := await store.load_snapshot(
        "demo", "project", 1, upto=kept[-1] - 1 if kept else None
    ):
        kept.append(snapshot.seq)
    assert [seq // step for seq in kept[:NEWEST_SNAPSHOTS]] == [12, 11, 10]
    assert [seq // step for seq in kept[NEWEST_SNAPSHOTS:]] == [8, 6, 4, 2, 1]
    assert await store.load_snapshot("demo", "project", 7) is not None


async def test_a_reader_may_leave_in_the_middle(store: EventStore, pool: asyncpg.Pool) -> None:
    await fill(store, "demo", 30)
    pages = store.read_pages("demo", 0, page_size=3)
    assert [event.seq for event in await anext(pages)] == [1, 2, 3]
    await pages.aclose()
    assert pool.get_idle_size() == pool.get_size()


async def test_an_epoch_rises_to_the_clock_or_by_one(store: EventStore, tamper: Tamper) -> None:
    for log_id in ("demo", "other", "old"):
        await fill(store, log_id, 1)
    await tamper(
        "UPDATE log_head SET epoch = 2000000000 WHERE log_id = 'demo';"
        "UPDATE log_head SET epoch = 5 WHERE log_id = 'old'"
    )
    assert await store.bump_epoch("demo") == 2_000_000_001
    old = await store.bump_epoch("old")
    assert old is not None
    assert old > 1_700_000_000
    assert await store.bump_epoch("no-such") is None
    before = {head.log_id: head.epoch for head in await store.heads()}
    await store.bump_all_epochs()
    after = {head.log_id: head.epoch for head in await store.heads()}
    assert all(after[log_id] > before[log_id] for log_id in before)


@pytest.mark.parametrize("method", ["bump_epoch", "bump_all_epochs"])
async def test_a_bump_leaves_the_log_as_it_was(store: EventStore, method: str) -> None:
    head = (await fill(store, "demo", 2)).head
    await (store.bump_epoch("demo") if method == "bump_epoch" else store.bump_all_epochs())
    bumped = await store.head("demo")
    assert (bumped.last_seq, bumped.last_hash, bumped.last_at) == (2, head.last_hash, head.last_at)
    await fill(store, "demo", 1)
