"""Rebuilding and verifying rulesets beside a projector."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from domain import commands as c
from eventstore.store import EventStore
from projections.comparison import Difference
from projections.documents import tombstone
from projections.fold import FOLD_VERSION
from projections.log_projector import LogProjector
from projections.rebuild import rebuild
from projections.rulesets import generation_keys
from projections.verify import verify
from tests.support.projecting import StoredLog, assert_exact, meta, problems, stored_log


@pytest.fixture
async def log(store: EventStore, redis_client: Redis) -> StoredLog:
    stored = await stored_log(store)
    await stored.do(c.CreateFlag("alpha"), c.CreateFlag("beta"))
    await stored.do(c.EnableFlag("alpha", "production"))
    await LogProjector(store, redis_client, "demo").go_round()
    return stored


async def damage(redis: Redis, env: str) -> None:
    """Change a document behind everybody's back."""
    _, documents, _ = generation_keys(env, (await meta(redis, env)).generation)
    await redis.hset(documents, "flag:alpha", tombstone("alpha", 3).decode())


async def set_meta(redis: Redis, env: str, **fields: str) -> None:
    key, _, _ = generation_keys(env, (await meta(redis, env)).generation)
    for name, value in fields.items():
        await redis.hset(key, name, value)


# --- verifying


async def test_an_exact_ruleset_has_no_problem(
    store: EventStore, redis_client: Redis, log: StoredLog
) -> None:
    findings = await verify(store, redis_client, "demo")
    assert {(found.key, found.seq, found.problem) for found in findings} == {
        ("development", 6, None),
        ("production", 6, None),
    }


async def test_a_ruleset_that_lags_is_compared_where_it_stands(
    store: EventStore, redis_client: Redis, log: StoredLog
) -> None:
    await log.do(c.DisableFlag("alpha", "production"))
    findings = await verify(store, redis_client, "demo")
    assert [(found.seq, found.problem) for found in findings] == [(6, None), (6, None)]


async def test_one_that_lags_behind_the_others_is_compared_too(
    store: EventStore, redis_client: Redis, log: StoredLog
) -> None:
    await log.do(c.DisableFlag("alpha", "production"))
    await log.do(c.EnableFlag("alpha", "production"))
    await set_meta(redis_client, log.env("development"), seq="8")
    assert problems(await verify(store, redis_client, "demo")) == {}


async def test_a_changed_document_is_found(
    store: EventStore, redis_client: Redis, log: StoredLog
) -> None:
    await damage(redis_client, log.env())
    findings = await verify(store, redis_client, "demo")
    assert problems(findings) == {log.env(): "documents"}
    assert [found.differences for found in findings if found.problem] == [
        (Difference("flag:alpha", "different", 3, 6),)
    ]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"epoch": "1"}, "other epoch"),
        ({"fold": str(FOLD_VERSION + 1)}, "other fold"),
        ({"hash": "00"}, "other history"),
        ({"changed": "5"}, "other history"),
        ({"seq": "99"}, "other history"),
    ],
)
async def test_a_ruleset_of_elsewhere_is_told_from_a_damaged_one(
    *,
    store: EventStore,
    redis_client: Redis,
    log: StoredLog,
    fields: dict[str, str],
    problem: str,
) -> None:
    await set_meta(redis_client, log.env(), **fields)
    assert problems(await verify(store, redis_client, "demo")) == {log.env(): problem}


async def test_a_missing_ruleset_is_found(
    store: EventStore, redis_client: Redis, log: StoredLog
) -> None:
    await redis_client.flushall()
    found = problems(await verify(store, redis_client, "demo"))
    assert found == {log.env(key): "missing" for key in ("development", "production")}


# --- rebuilding


async def test_an_honest_rebuild_is_not_noticed(
    store: EventStore, redis_client: Redis, log: StoredLog
) -> None:
    before = await meta(redis_client, log.env())
    outcomes = await rebuild(store, redis_client, "demo")
    assert [done.outcome for done in outcomes] == ["rebuilt", "rebuilt"]
    assert all(done.before == done.after for done in outcomes)
    assert (await meta(redis_client, log.env())).generation != before.generation
    await assert_exact(store, redis_client, "demo")


async def test_a_rebuild_of_a_damaged_ruleset_has_another_wire_epoch(
    store: EventStore, redis_client: Redis, log: StoredLog
) -> None:
    await damage(redis_client, log.env())
    await rebuild(store, redis_client, "demo")
    contents = [
        (await meta(redis_client, log.env(e))).content for e in ("development", "production")
    ]
    assert contents == [1, 2]
    await assert_exact(store, redis_client, "demo")
    await rebuild(store, redis_client, "demo")
    assert (await meta(redis_client, log.env())).content == 2


async def test_a_dry_run_finds_the_same_and_changes_nothing(
    store: EventStore, redis_client: Redis, log: StoredLog
) -> None:
    await damage(redis_client, log.env())
    before = await meta(redis_client, log.env())
    keys = set(await redis_client.keys("*"))
    outcomes = await rebuild(store, redis_client, "demo", dry_run=True)
    assert {done.outcome for done in outcomes} == {"not tried"}
    assert problems([done.finding for done in outcomes]) == {log.env(): "documents"}
    assert await meta(redis_client, log.env()) == before
    assert set(await redis_client.keys("*")) == keys


async def test_a_rebuild_catches_up_with_a_projector_that_goes_on(
    store: EventStore, redis_client: Redis, log: StoredLog
) -> None:
    projector = LogProjector(store, redis_client, "demo")

    async def go_on() -> None:
        for _ in range(20):
            await log.do(c.DisableFlag("alpha", "production"))
            await log.do(c.EnableFlag("alpha", "production"))
            await projector.go_round()

    changing = asyncio.create_task(go_on())
    while not changing.done():
        outcomes = await rebuild(store, redis_client, "demo")
        assert {done.outcome for done in outcomes} <= {"rebuilt", "given up"}
    await changing
    await assert_exact(store, redis_client, "demo")
    assert (await meta(redis_client, log.env())).content == 1


async def test_a_rebuild_does_not_replace_what_a_newer_program_wrote(
    store: EventStore, redis_client: Redis, log: StoredLog
) -> None:
    await set_meta(redis_client, log.env(), fold=str(FOLD_VERSION + 1))
    before = await meta(redis_client, log.env())
    outcomes = {
        done.finding.environment: done for done in await rebuild(store, redis_client, "demo")
    }
    assert outcomes[log.env()].outcome == "overtaken"
    assert await meta(redis_client, log.env()) == before


async def test_a_rebuild_where_there_is_nothing_builds_at_the_end_of_the_log(
    store: EventStore, redis_client: Redis, log: StoredLog
) -> None:
    await redis_client.flushall()
    reached: list[int] = []
    outcomes = await rebuild(store, redis_client, "demo", progress=reached.append)
    assert [(done.outcome, done.before) for done in outcomes] == 2 * [("rebuilt", None)]
    assert reached[-1] == 6
    await assert_exact(store, redis_client, "demo")


class FlushedRedis(Redis):
    """Is flushed once, right before one of the scripts."""

    before_script = 0

    async def evalsha(self, *arguments: Any) -> Any:
        self.before_script -= 1
        if self.before_script == 0:
            await self.flushall()
        return await super().evalsha(*arguments)


@pytest.fixture
async def flushed(redis_url: str) -> AsyncIterator[FlushedRedis]:
    async with FlushedRedis.from_url(redis_url) as client:
        yield cast("FlushedRedis", client)


@pytest.mark.parametrize("script", range(1, 16))
async def test_a_rebuild_survives_a_flush_before_any_of_its_scripts(
    *,
    store: EventStore,
    redis_client: Redis,
    flushed: FlushedRedis,
    log: StoredLog,
    script: int,
) -> None:
    projector = LogProjector(store, redis_client, "demo")
    await projector.go_round()
    flushed.before_script = script
    outcomes = await rebuild(store, flushed, "demo")
    assert {done.outcome for done in outcomes} == {"rebuilt"}
    projector._keeper.forget()
    await projector.go_round()
    await assert_exact(store, redis_client, "demo")
    assert (await meta(redis_client, log.env())).content == 1
