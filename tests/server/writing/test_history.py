"""A log's state at any seq that was: from a snapshot, read as far as it is asked for."""

from __future__ import annotations

import gc
import random
import weakref
from collections.abc import AsyncIterator

import asyncpg
import pytest

from domain.commands import RenameFlag
from domain.facts import Entity
from domain.pages import pages_of
from domain.state import digest
from eventstore.pool import create_pool
from eventstore.store import EventStore
from server.writing.deciders import PROJECT
from server.writing.errors import LogPoisoned
from server.writing.folded_log import FoldedLog
from server.writing.history import LogHistory
from tests.support.logs import append
from tests.support.project_logs import as_command, deltas_of, random_log


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with create_pool(database_url, max_size=4) as pool:
        yield pool


@pytest.fixture
def store(pool: asyncpg.Pool) -> EventStore:
    return EventStore(pool)


@pytest.mark.parametrize("seed", range(6))
async def test_the_state_at_any_seq_is_the_fold_of_all_events_up_to_it(
    store: EventStore, seed: int
) -> None:
    draw = random.Random(seed)
    log = random_log(draw, 120)
    await append(store, "demo", *(as_command(delta) for delta in deltas_of(log.events)))
    events = await store.read("demo", 0, 10_000)
    history = LogHistory(store, PROJECT)
    for cut in sorted(draw.sample(range(1, len(events)), 3)):
        folded = FoldedLog("demo", PROJECT)
        folded.apply(events[:cut])
        await history.save(folded)
    for seq in draw.sample(range(1, len(events) + 1), 25):
        folded = FoldedLog("demo", PROJECT)
        folded.apply(events[:seq])
        past = await history.load("demo", upto=seq)
        assert (past.seq, past.hash) == (seq, folded.hash)
        for key in draw.sample(("alpha", "beta", "gamma"), 3):
            assert past.state.flags.get(key) == folded.state.flags.get(key)
            entity = Entity("flag", key, "production")
            assert past.state.mark(entity) == folded.state.mark(entity)
        assert digest(past.state) == digest(folded.state)
        assert await history.still_holds(past)


async def test_a_past_state_that_nobody_needs_is_gone_without_a_look_for_cycles(
    store: EventStore,
) -> None:
    log = random_log(random.Random(1), 60)
    await append(store, "demo", *(as_command(delta) for delta in deltas_of(log.events)))
    history = LogHistory(store, PROJECT)
    await history.save(await history.load("demo", upto=30))
    past = await history.load("demo", upto=50)
    gone = weakref.ref(pages_of(past.state))
    gc.disable()
    try:
        del past
        assert gone() is None
    finally:
        gc.enable()


async def test_what_cannot_be_applied_is_told_where_it_is_read(
    store: EventStore, pool: asyncpg.Pool
) -> None:
    log = random_log(random.Random(1), 60)
    flags = sorted(log.state.flags)
    log.do(RenameFlag(flag=flags[0], name="Of another kind"))
    await append(store, "demo", *(as_command(delta) for delta in deltas_of(log.events)))
    history = LogHistory(store, PROJECT)
    before = FoldedLog("demo", PROJECT)
    before.apply((await store.read("demo", 0, 10_000))[:-1])
    await history.save(before)
    await pool.execute("ALTER TABLE event DISABLE TRIGGER event_is_immutable")
    await pool.execute("UPDATE event SET body = '{\"name\":1}' WHERE seq = $1", len(log.events))
    past = await history.load("demo", upto=len(log.events))
    if len(flags) > 1:
        assert past.state.flags[flags[1]] == before.state.flags[flags[1]]
    for _ in range(2):
        with pytest.raises(LogPoisoned):
            past.state.flags.get(flags[0])
    with pytest.raises(LogPoisoned):
        await history.load("demo")


async def test_a_past_state_does_not_hold_after_a_restore_or_a_voided_event(
    store: EventStore, pool: asyncpg.Pool
) -> None:
    log = random_log(random.Random(2), 30)
    await append(store, "demo", *(as_command(delta) for delta in deltas_of(log.events)))
    history = LogHistory(store, PROJECT)
    past = await history.load("demo", upto=20)
    assert await history.still_holds(past)
    past.voided = frozenset({7})
    assert not await history.still_holds(past)
    past.voided = frozenset()
    await pool.execute("ALTER TABLE event DISABLE TRIGGER event_is_immutable")
    await pool.execute("UPDATE event SET hash = sha256('x') WHERE seq = 20")
    assert not await history.still_holds(past)
