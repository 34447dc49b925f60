"""Projecting one log on real PostgreSQL and Valkey, round by round."""

from __future__ import annotations

import asyncio
import random

import asyncpg
import pytest
from redis.asyncio import Redis

from domain import commands as c
from eventstore.contents import Content
from eventstore.log import StoredEvent
from eventstore.store import EventStore
from projections.documents import is_tombstone
from projections.fold import FOLD_VERSION
from projections.log_projector import LogProjector
from projections.reading import open_log
from projections.rulesets import Rulesets, active_key, generation_keys
from projections.verify import verify
from tests.support.logs import append, new_command, new_event
from tests.support.project_logs import random_log
from tests.support.projecting import (
    Dump,
    StoredLog,
    assert_exact,
    meta,
    problems,
    store_deltas,
    stored_log,
    truncated,
)


@pytest.fixture
async def log(store: EventStore) -> StoredLog:
    stored = await stored_log(store)
    await stored.do(c.CreateFlag("alpha"), c.CreateFlag("beta"), c.CreateSegment("staff"))
    return stored


@pytest.fixture
async def projector(store: EventStore, redis_client: Redis, log: StoredLog) -> LogProjector:
    projector = LogProjector(store, redis_client, log.log_id)
    await projector.go_round()
    return projector


async def lookups_forgotten(projector: LogProjector) -> None:
    """A round that finds out what became of Redis, as after the check's interval."""
    projector._keeper.forget()
    await projector.go_round()


async def test_the_first_round_builds_every_ruleset(
    store: EventStore, redis_client: Redis, log: StoredLog, projector: LogProjector
) -> None:
    await assert_exact(store, redis_client, "demo")
    for key in ("development", "production"):
        found = await meta(redis_client, log.env(key))
        assert (found.project, found.environment, found.content) == ("demo", key, 1)
        assert found.epoch == (await store.head("demo")).epoch


async def test_a_change_reaches_the_rulesets_it_concerns_and_moves_seq_in_the_others(
    store: EventStore, redis_client: Redis, log: StoredLog, projector: LogProjector
) -> None:
    before = await meta(redis_client, log.env("development"))
    seq = await log.do(c.EnableFlag("alpha", "production"))
    await projector.go_round()
    changed = await meta(redis_client, log.env("production"))
    same = await meta(redis_client, log.env("development"))
    assert (changed.changed, changed.seq) == (seq, seq)
    assert (same.changed, same.seq) == (before.changed, seq)
    await assert_exact(store, redis_client, "demo")


async def test_several_commands_at_once_become_one_delta(
    store: EventStore, redis_client: Redis, log: StoredLog, projector: LogProjector
) -> None:
    for _ in range(5):
        await log.do(c.EnableFlag("alpha", "production"))
        await log.do(c.DisableFlag("alpha", "production"))
    await projector.go_round()
    await assert_exact(store, redis_client, "demo")


async def test_an_environment_that_ends_leaves_tombstones_only(
    store: EventStore, redis_client: Redis, log: StoredLog, projector: LogProjector
) -> None:
    env = log.env("production")
    await log.do(c.DeleteEnvironment("production"))
    await log.do(c.EnableFlag("alpha", "development"))
    await projector.go_round()
    await assert_exact(store, redis_client, "demo")
    stored = await Rulesets(redis_client).read(env)
    assert stored is not None
    assert all(is_tombstone(body) for body in stored.documents.values())


# --- what becomes of Redis


async def test_a_flush_is_healed_and_the_wire_epoch_stays(
    store: EventStore, redis_client: Redis, log: StoredLog, projector: LogProjector
) -> None:
    before = await meta(redis_client, log.env())
    await redis_client.flushall()
    await lookups_forgotten(projector)
    after = await meta(redis_client, log.env())
    assert after.generation != before.generation
    assert after.wire_epoch == before.wire_epoch
    await assert_exact(store, redis_client, "demo")


async def test_a_flush_is_found_by_the_next_change_without_waiting_for_a_check(
    store: EventStore, redis_client: Redis, log: StoredLog, projector: LogProjector
) -> None:
    await redis_client.flushall()
    await log.do(c.EnableFlag("alpha", "production"))
    await projector.go_round()
    await assert_exact(store, redis_client, "demo")


async def test_an_old_dump_of_redis_is_brought_up_to_date_by_what_it_lacks(
    store: EventStore, redis_client: Redis, log: StoredLog, projector: LogProjector
) -> None:
    dump, before = await Dump.of(redis_client), await meta(redis_client, log.env())
    await log.do(c.EnableFlag("alpha", "production"))
    await projector.go_round()
    await log.do(c.ArchiveFlag("beta"))
    await projector.go_round()
    await dump.restore(redis_client)
    await lookups_forgotten(projector)
    assert (await meta(redis_client, log.env())).generation == before.generation
    await assert_exact(store, redis_client, "demo")


async def test_an_old_dump_is_noticed_by_the_next_change_too(
    store: EventStore, redis_client: Redis, log: StoredLog, projector: LogProjector
) -> None:
    dump = await Dump.of(redis_client)
    await log.do(c.EnableFlag("alpha", "production"))
    await projector.go_round()
    await dump.restore(redis_client)
    await log.do(c.ArchiveFlag("beta"))
    await projector.go_round()
    await assert_exact(store, redis_client, "demo")


async def test_a_dump_with_an_older_content_is_replaced(
    store: EventStore, redis_client: Redis, log: StoredLog, projector: LogProjector
) -> None:
    dump = await Dump.of(redis_client)
    await store.contents.settle("demo", log.env(), Content(2, FOLD_VERSION), Content(1, 1))
    await redis_client.flushall()
    await lookups_forgotten(projector)
    assert (await meta(redis_client, log.env())).content == 2
    await dump.restore(redis_client)
    await LogProjector(store, redis_client, "demo").go_round()
    assert (await meta(redis_client, log.env())).content == 2
    await assert_exact(store, redis_client, "demo")


async def test_a_ruleset_of_an_older_fold_is_replaced_under_a_new_wire_epoch(
    store: EventStore, redis_client: Redis, log: StoredLog, projector: LogProjector
) -> None:
    env = log.env()
    generation = (await meta(redis_client, env)).generation
    await redis_client.hset(generation_keys(env, generation)[0], "fold", str(FOLD_VERSION - 1))
    older = Content(1, FOLD_VERSION - 1)
    assert await store.contents.settle("demo", env, older, Content(1, FOLD_VERSION))
    await lookups_forgotten(projector)
    assert (await meta(redis_client, env)).content == 2
    assert await store.contents.get("demo", env) == Content(2, FOLD_VERSION)
    await assert_exact(store, redis_client, "demo")


async def test_a_ruleset_of_a_newer_fold_is_left_alone_until_it_is_lost(
    store: EventStore, redis_client: Redis, log: StoredLog, projector: LogProjector
) -> None:
    env = log.env()
    generation = (await meta(redis_client, env)).generation
    await redis_client.hset(generation_keys(env, generation)[0], "fold", str(FOLD_VERSION + 1))
    newer = Content(2, FOLD_VERSION + 1)
    assert await store.contents.settle("demo", env, newer, Content(1, FOLD_VERSION))
    before = await meta(redis_client, env)
    await lookups_forgotten(projector)
    await log.do(c.EnableFlag("alpha", "production"))
    await projector.go_round()
    assert await meta(redis_client, env) == before
    assert [e.idle for e in projector.standing().environments] == [False, True]
    await redis_client.flushall()
    await lookups_forgotten(projector)
    assert (await meta(redis_client, env)).content == 3
    await assert_exact(store, redis_client, "demo")


@pytest.mark.parametrize("broken", [0, 1, 2], ids=["meta", "documents", "index"])
async def test_a_ruleset_that_lost_one_of_its_keys_is_found(
    store: EventStore,
    redis_client: Redis,
    log: StoredLog,
    projector: LogProjector,
    broken: int,
) -> None:
    env = log.env()
    generation = (await meta(redis_client, env)).generation
    await redis_client.unlink(generation_keys(env, generation)[broken])
    await lookups_forgotten(projector)
    found = problems(await verify(store, redis_client, "demo"))
    assert found == ({} if broken == 0 else {env: "documents"})


# --- what becomes of PostgreSQL


@pytest.mark.parametrize("told", [False, True], ids=["epoch kept", "epoch bumped"])
@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
@pytest.mark.parametrize("goes_on", [0, 1, 5])
async def test_a_restored_database_is_noticed_as_a_fork(
    *,
    store: EventStore,
    pool: asyncpg.Pool,
    redis_client: Redis,
    log: StoredLog,
    projector: LogProjector,
    told: bool,
    restarted: bool,
    goes_on: int,
) -> None:
    keep = (await store.head("demo")).last_seq
    for _ in range(2):
        await log.do(c.EnableFlag("alpha", "production"))
        await log.do(c.DisableFlag("alpha", "production"))
    await projector.go_round()
    before = await meta(redis_client, log.env())
    await truncated(pool, "demo", keep)
    epoch = await store.bump_epoch("demo") if told else None
    for n in range(goes_on):
        event = new_event("beta", n + 1, type=("FlagEnabled", "FlagDisabled")[n % 2], body=b"{}")
        await append(store, "demo", new_command(event))
    if restarted:
        projector = LogProjector(store, redis_client, "demo")
    await lookups_forgotten(projector)
    after = await meta(redis_client, log.env())
    assert after.epoch > before.epoch
    assert epoch in (None, after.epoch), "who was told has no reason to tell again"
    await assert_exact(store, redis_client, "demo")


async def test_a_fork_that_left_the_last_change_in_place_is_noticed_by_what_was_checked(
    store: EventStore,
    pool: asyncpg.Pool,
    redis_client: Redis,
    log: StoredLog,
    projector: LogProjector,
) -> None:
    keep = (await store.head("demo")).last_seq
    await log.do(c.EnableFlag("alpha", "development"))
    await log.do(c.EnableFlag("beta", "development"))
    await projector.go_round()
    before = await meta(redis_client, log.env("production"))
    await truncated(pool, "demo", keep)
    for n in range(2):
        event = new_event("alpha", n + 1, type=("FlagEnabled", "FlagDisabled")[n % 2], body=b"{}")
        await append(store, "demo", new_command(event))
    await lookups_forgotten(LogProjector(store, redis_client, "demo"))
    assert (await meta(redis_client, log.env("production"))).epoch > before.epoch
    await assert_exact(store, redis_client, "demo")


async def test_two_projectors_that_find_one_fork_do_not_go_on_bumping(
    store: EventStore,
    pool: asyncpg.Pool,
    redis_client: Redis,
    log: StoredLog,
    projector: LogProjector,
) -> None:
    other = LogProjector(store, redis_client, "demo")
    keep = await log.do(c.EnableFlag("alpha", "production"))
    await log.do(c.DisableFlag("alpha", "production"))
    await asyncio.gather(projector.go_round(), other.go_round())
    await truncated(pool, "demo", keep)
    await asyncio.gather(lookups_forgotten(projector), lookups_forgotten(other))
    epoch = (await store.head("demo")).epoch
    for one in (projector, other, projector):
        await lookups_forgotten(one)
    assert (await store.head("demo")).epoch == epoch
    await assert_exact(store, redis_client, "demo")


async def test_a_new_epoch_alone_gives_every_ruleset_a_new_wire_epoch(
    store: EventStore, redis_client: Redis, log: StoredLog, projector: LogProjector
) -> None:
    epoch = await store.bump_epoch("demo")
    await projector.go_round()
    assert (await meta(redis_client, log.env())).wire_epoch == f"{epoch}.1"
    await assert_exact(store, redis_client, "demo")


# --- events that cannot be applied


async def poison(store: EventStore, log: StoredLog) -> StoredEvent:
    """An event of a type that nobody knows, in the middle of a delta."""
    known = new_event("alpha", 1, type="FlagEnabled", body=b"{}")
    unknown = new_event("alpha", 2, type="FlagPainted", body=b"{}")
    await append(store, log.log_id, new_command(known, unknown, known))
    last = (await store.head(log.log_id)).last_seq
    return (await store.read(log.log_id, last - 2, 1))[0]


async def void(store: EventStore, seq: int) -> None:
    body = b'{"seq":%d,"reason":"by hand"}' % seq
    event = new_event("demo", 2, entity_kind="project", type="EventVoided", body=body)
    await append(store, "demo", new_command(event))


async def test_a_poisoned_log_is_kept_up_to_the_delta_that_cannot_be_applied(
    store: EventStore, redis_client: Redis, log: StoredLog, projector: LogProjector
) -> None:
    seq = await log.do(c.EnableFlag("alpha", "development"))
    poisoned = await poison(store, log)
    await projector.go_round()
    assert (await meta(redis_client, log.env())).seq == seq
    assert f"seq {poisoned.seq}" in projector.standing().poisoned
    await redis_client.flushall()
    await lookups_forgotten(projector)
    assert (await meta(redis_client, log.env())).seq == seq
    assert problems(await verify(store, redis_client, "demo")) == {}


async def test_a_poisoned_log_goes_on_once_the_event_was_voided(
    store: EventStore, redis_client: Redis, log: StoredLog, projector: LogProjector
) -> None:
    poisoned = await poison(store, log)
    await projector.go_round()
    await void(store, poisoned.seq)
    await projector.go_round()
    assert projector.standing().poisoned == ""
    await assert_exact(store, redis_client, "demo")
    await lookups_forgotten(LogProjector(store, redis_client, "demo"))
    await assert_exact(store, redis_client, "demo")


@pytest.mark.parametrize("bumped", [True, False])
async def test_a_poisoned_log_goes_on_once_its_history_was_restored(
    store: EventStore,
    pool: asyncpg.Pool,
    redis_client: Redis,
    log: StoredLog,
    projector: LogProjector,
    bumped: bool,
) -> None:
    keep = await log.do(c.EnableFlag("alpha", "production"))
    await poison(store, log)
    await projector.go_round()
    assert projector.standing().poisoned
    await truncated(pool, "demo", keep)
    if bumped:
        await store.bump_epoch("demo")
    await projector.go_round()
    assert projector.standing().poisoned == ""
    await log.do(c.DisableFlag("alpha", "production"))
    await projector.go_round()
    await assert_exact(store, redis_client, "demo")


async def test_a_missing_event_poisons_its_log(
    store: EventStore, pool: asyncpg.Pool, log: StoredLog, projector: LogProjector
) -> None:
    seqs = [await log.do(c.EnableFlag("alpha", "production"))]
    seqs.append(await log.do(c.DisableFlag("alpha", "production")))
    await pool.execute("ALTER TABLE event DISABLE TRIGGER event_is_immutable")
    await pool.execute("DELETE FROM event WHERE log_id = 'demo' AND seq = $1", seqs[0])
    await projector.go_round()
    assert f"seq {seqs[1]}" in projector.standing().poisoned


async def test_a_void_that_cannot_be_read_poisons_its_log_and_ends_nothing(
    store: EventStore, log: StoredLog, projector: LogProjector
) -> None:
    newer = new_event(
        "demo", 2, entity_kind="project", type="EventVoided", schema_version=99, body=b"{}"
    )
    await append(store, "demo", new_command(newer))
    await projector.go_round()
    assert "EventVoided" in projector.standing().poisoned


async def test_an_event_that_is_voided_though_it_was_applied_gets_a_new_wire_epoch(
    store: EventStore, redis_client: Redis, log: StoredLog, projector: LogProjector
) -> None:
    seq = await log.do(c.EnableFlag("alpha", "production"))
    await projector.go_round()
    await void(store, seq)
    await projector.go_round()
    found = await meta(redis_client, log.env())
    assert (found.content, found.changed) == (2, seq - 1)
    await assert_exact(store, redis_client, "demo")


# --- starting


async def test_a_cold_start_folds_only_what_follows_the_snapshot(
    store: EventStore, redis_client: Redis, log: StoredLog, projector: LogProjector
) -> None:
    reader = await open_log(store, "demo")
    await reader.advance()
    await reader.save_snapshot(every=1)
    end = reader.fold.seq
    await log.do(c.EnableFlag("alpha", "production"))
    assert (await open_log(store, "demo")).fold.seq == end
    await LogProjector(store, redis_client, "demo").go_round()
    await assert_exact(store, redis_client, "demo")


async def test_a_snapshot_from_before_an_event_was_voided_is_not_used(
    store: EventStore, log: StoredLog
) -> None:
    seq = await log.do(c.EnableFlag("alpha", "production"))
    reader = await open_log(store, "demo")
    await reader.advance()
    await reader.save_snapshot(every=1)
    await void(store, seq)
    assert (await open_log(store, "demo")).fold.seq == 0


async def test_a_long_log_is_projected_in_pages(store: EventStore, redis_client: Redis) -> None:
    long = random_log(random.Random(3), 4000)
    assert len(long.events) > 5000
    await store_deltas(store, "demo", long.events)
    await LogProjector(store, redis_client, "demo").go_round()
    await assert_exact(store, redis_client, "demo")
    assert (await open_log(store, "demo")).fold.seq == len(long.events)


async def test_a_pointer_that_some_hand_moved_is_put_right(
    store: EventStore, redis_client: Redis, log: StoredLog, projector: LogProjector
) -> None:
    await redis_client.set(active_key(log.env()), "nothing")
    await lookups_forgotten(projector)
    await assert_exact(store, redis_client, "demo")


# --- tombstones


async def test_old_tombstones_are_pruned_and_the_horizon_moves_with_them(
    store: EventStore, redis_client: Redis, log: StoredLog, projector: LogProjector
) -> None:
    archived = await log.do(c.ArchiveFlag("beta"))
    seq = await log.do(c.EnableFlag("alpha", "production"))
    await projector.go_round()
    reader = await open_log(store, "demo")
    await reader.advance()
    assert await projector._keeper.prune(reader, archived - 1) == 0
    assert await projector._keeper.prune(reader, archived) == 2
    stored = await Rulesets(redis_client).read(log.env())
    assert stored is not None
    assert "flag:beta" not in stored.documents
    assert (stored.meta.horizon, stored.meta.changed) == (archived, seq)
    await assert_exact(store, redis_client, "demo")
    await log.do(c.RestoreFlag("beta"))
    await projector.go_round()
    await assert_exact(store, redis_client, "demo")
