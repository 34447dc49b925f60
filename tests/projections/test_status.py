"""How rulesets stand to their log, from outside of any projector."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from domain import commands as c
from eventstore.store import EventStore
from projections.fold import FOLD_VERSION
from projections.log_projector import LogProjector
from projections.rulesets import generation_keys
from projections.status import log_status
from tests.support.logs import append, new_command, new_event
from tests.support.projecting import StoredLog, meta, stored_log


@pytest.fixture
async def log(store: EventStore, redis_client: Redis) -> StoredLog:
    stored = await stored_log(store)
    await LogProjector(store, redis_client, "demo").go_round()
    return stored


async def test_lag_counts_the_events_that_were_not_checked(
    store: EventStore, redis_client: Redis, log: StoredLog
) -> None:
    await log.do(c.CreateFlag("alpha"), c.CreateFlag("beta"))
    status = await log_status(store, redis_client, "demo")
    assert status.last_seq == 5
    assert status.epoch == (await store.head("demo")).epoch
    assert [environment.lag for environment in status.environments] == [2, 2]
    assert status.environments[1].meta == await meta(redis_client, log.env())


async def test_a_missing_ruleset_and_a_newer_program_are_told(
    store: EventStore, redis_client: Redis, log: StoredLog
) -> None:
    env = log.env()
    key, _, _ = generation_keys(env, (await meta(redis_client, env)).generation)
    await redis_client.hset(key, "fold", str(FOLD_VERSION + 1))
    newer = {e.environment: e for e in (await log_status(store, redis_client, "demo")).environments}
    assert newer[env].newer_program
    assert not newer[log.env("development")].newer_program
    await redis_client.flushall()
    lost = (await log_status(store, redis_client, "demo")).environments
    assert [(environment.meta, environment.lag) for environment in lost] == [(None, 3)] * 2


async def test_a_poisoned_log_is_told_with_the_event(
    store: EventStore, redis_client: Redis, log: StoredLog
) -> None:
    await append(store, "demo", new_command(new_event(type="FlagPainted")))
    status = await log_status(store, redis_client, "demo")
    assert "FlagPainted at seq 4" in status.poisoned
    assert [environment.lag for environment in status.environments] == [1, 1]
