"""What a projector counts and measures, on real PostgreSQL and Valkey."""

from __future__ import annotations

import time

import pytest
from redis.asyncio import Redis

from domain import commands as c
from eventstore.store import EventStore
from projections.counters import ProjectorCounters
from projections.log_projector import LogProjector
from projections.reading import open_log
from projections.rulesets import Delta, channel, decode_published
from tests.support.logs import append, new_command, new_event
from tests.support.projecting import StoredLog, stored_log


@pytest.fixture
async def log(store: EventStore) -> StoredLog:
    return await stored_log(store)


@pytest.fixture
async def projector(store: EventStore, redis_client: Redis, log: StoredLog) -> LogProjector:
    projector = LogProjector(store, redis_client, log.log_id, counters=ProjectorCounters())
    await projector.go_round()
    return projector


async def test_a_delta_tells_when_its_oldest_change_was_committed(
    store: EventStore, redis_client: Redis, log: StoredLog, projector: LogProjector
) -> None:
    first = await log.do(c.CreateFlag("alpha"))
    await log.do(c.CreateFlag("beta"))
    await log.do(c.EnableFlag("beta", "production"))
    (oldest,) = await store.read(log.log_id, first - 1, 1)
    async with redis_client.pubsub() as pubsub:
        await pubsub.ssubscribe(channel(log.env("production")))
        await pubsub.get_message(timeout=5)
        await projector.go_round()
        message = await pubsub.get_message(timeout=5)
    assert message is not None
    published = decode_published(message["data"])
    assert isinstance(published, Delta)
    assert published.committed_us == int(oldest.recorded_at.timestamp() * 1_000_000)
    assert published.committed_us <= published.sent_us <= time.time_ns() // 1000


async def test_each_delta_is_measured_and_each_answer_counted(
    store: EventStore, redis_client: Redis, log: StoredLog, projector: LogProjector
) -> None:
    counters = projector._counters
    assert counters.builds == {"SWAPPED": 2}
    assert (counters.events, counters.fold_s.count) == (3, 0)
    await log.do(c.CreateFlag("alpha"))
    await projector.go_round()
    assert counters.updates == {"APPLIED": 2}
    assert (counters.fold_s.count, counters.apply_s.count) == (2, 2)
    assert 0 < counters.fold_s.sum < 60
    # Another projector was faster: what it applied, it has measured.
    other = LogProjector(store, redis_client, log.log_id)
    await other.go_round()
    await log.do(c.EnableFlag("alpha", "production"))
    await other.go_round()
    await projector.go_round()
    assert counters.updates["APPLIED"] == 2
    assert counters.fold_s.count == 2


async def test_of_events_folded_long_ago_the_time_is_one_that_was_kept(
    store: EventStore, log: StoredLog
) -> None:
    for key in "abcdef":
        await log.do(c.CreateFlag(key))
    events = await store.read(log.log_id, 0, 100)
    times = [int(event.recorded_at.timestamp() * 1_000_000) for event in events]
    reader = await open_log(store, log.log_id)
    assert reader.committed_us(0) == 0
    await reader.advance()
    assert [reader.committed_us(event.seq) for event in events] == times
    assert reader.committed_us(0) == times[0]
    assert reader.committed_us(len(events) + 1) == 0


async def test_a_log_that_stops_is_behind_for_longer_and_longer(
    store: EventStore, log: StoredLog, projector: LogProjector
) -> None:
    assert (projector.lag().events, projector.lag().seconds) == (0, 0)
    projector.wake()
    assert projector.lag().seconds > 0
    unknown = new_event("x", type="FromTheFuture", critical=True)
    await append(store, log.log_id, new_command(unknown))
    await projector.go_round()
    lag = projector.lag()
    assert (lag.events, lag.poisoned, lag.troubled) == (1, True, False)
    assert projector.lag().seconds > lag.seconds > 0
    assert projector._counters.poisonings == 1
