"""Streams of events: told once, told what is so by then, and over when they should be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest
import redis.asyncio

from server.http.event_stream import (
    HEARTBEAT,
    NOWHERE,
    EventStreams,
    position_of,
    read_position,
    refetch,
)
from streaming.serving import ServedEnvironment
from tests.streaming.stage import Stage, stage, until
from tests.streaming.writing import OTHER_KEY, SERVER_KEY, Ruleset, key_document


@pytest.fixture
async def ruleset(redis_client: redis.asyncio.Redis) -> Ruleset:
    return await Ruleset(redis_client).create("a", "b")


@pytest.fixture
async def on_stage(redis_client: redis.asyncio.Redis, ruleset: Ruleset) -> AsyncIterator[Stage]:
    async with stage(redis_client) as running:
        yield running


@pytest.fixture
async def served(on_stage: Stage) -> ServedEnvironment:
    return await on_stage.gateway.serve_key(SERVER_KEY, 5)


class Peer:
    """A client as ASGI shows it: it has sent its request, and goes when it is told to."""

    def __init__(self) -> None:
        self._gone = asyncio.Event()
        self._messages = [{"type": "http.request", "body": b"", "more_body": False}]

    def go(self) -> None:
        self._gone.set()

    async def receive(self) -> Any:
        if self._messages:
            return self._messages.pop()
        await self._gone.wait()
        return {"type": "http.disconnect"}


class Reading:
    """One stream, read to its end in the background."""

    def __init__(
        self, streams: EventStreams, served: ServedEnvironment, last_event_id: str = ""
    ) -> None:
        self.peer = Peer()
        self.parts: list[bytes] = []
        self.paused = asyncio.Event()
        self.paused.set()
        follow = streams.follow(served, self.peer.receive, last_event_id, refetch)
        self.task = asyncio.create_task(self._read(follow))

    async def _read(self, follow: AsyncGenerator[bytes]) -> None:
        async for part in follow:
            self.parts.append(part)
            await self.paused.wait()

    @property
    def events(self) -> list[dict[str, str]]:
        """The events so far, as ``EventSource`` would read them."""
        blocks = b"".join(self.parts).decode().split("\n\n")
        fields = [[line for line in block.splitlines() if line[0] != ":"] for block in blocks]
        read = [dict(line.split(": ", 1) for line in lines) for lines in fields]
        return [event for event in read if "data" in event]

    async def told(self, count: int) -> list[dict[str, str]]:
        await until(lambda: len(self.events) >= count)
        return self.events

    async def leave(self) -> None:
        self.peer.go()
        await self.over()

    async def over(self) -> None:
        async with asyncio.timeout(5):
            await self.task


async def change(ruleset: Ruleset, served: ServedEnvironment) -> None:
    """A flag changes, and the gateway has heard of it."""
    await ruleset.change(("flag:a", {"enabled": True}))
    await until(lambda: served.changed == ruleset.changed)


async def test_a_client_that_names_no_position_is_told_at_once_where_things_are(
    served: ServedEnvironment,
) -> None:
    reading = Reading(EventStreams(), served)
    (event,) = await reading.told(1)
    assert (event["id"], event["event"]) == (served.etag, "message")
    data = json.loads(event["data"])
    assert data.keys() == {"type", "etag", "lastModified"}
    assert (data["type"], data["etag"]) == ("refetchEvaluation", served.etag)
    assert isinstance(data["lastModified"], int)
    assert reading.parts[0] == b"retry: 1000\n\n"
    await reading.leave()


async def test_a_client_that_is_up_to_date_is_told_of_the_next_change_only(
    served: ServedEnvironment, ruleset: Ruleset
) -> None:
    reading = Reading(EventStreams(), served, served.etag)
    await until(lambda: bool(reading.parts))
    await change(ruleset, served)
    (event,) = await reading.told(1)
    assert event["id"] == f"{ruleset.wire_epoch}-11"
    await reading.leave()


async def test_a_client_that_missed_many_changes_is_told_once(
    served: ServedEnvironment, ruleset: Ruleset
) -> None:
    seen = served.etag
    for _ in range(3):
        await change(ruleset, served)
    reading = Reading(EventStreams(heartbeat_s=0.05), served, seen)
    await until(lambda: HEARTBEAT in reading.parts)
    (event,) = reading.events
    assert event["id"] == f"{ruleset.wire_epoch}-13"
    await reading.leave()


async def test_a_client_that_is_ahead_is_not_told_of_what_it_knows(
    served: ServedEnvironment, ruleset: Ruleset
) -> None:
    reading = Reading(EventStreams(), served, f"{ruleset.wire_epoch}-12")
    await until(lambda: bool(reading.parts))
    for _ in range(3):
        await change(ruleset, served)
    (event,) = await reading.told(1)
    assert event["id"] == f"{ruleset.wire_epoch}-13"
    await reading.leave()


async def test_another_epoch_is_a_change(served: ServedEnvironment, ruleset: Ruleset) -> None:
    reading = Reading(EventStreams(), served, served.etag)
    await until(lambda: bool(reading.parts))
    await ruleset.swap("g2", epoch=8)
    (event,) = await reading.told(1)
    assert event["id"] == "8.1-10"
    await reading.leave()


async def test_a_burst_of_changes_is_two_events_the_last_of_which_tells_of_all(
    served: ServedEnvironment, ruleset: Ruleset
) -> None:
    reading = Reading(EventStreams(), served, served.etag)
    await until(lambda: bool(reading.parts))
    started = asyncio.get_running_loop().time()
    await change(ruleset, served)
    await reading.told(1)
    for _ in range(10):
        await change(ruleset, served)
    events = await reading.told(2)
    assert asyncio.get_running_loop().time() - started >= 0.5
    assert [event["id"] for event in events] == [f"{ruleset.wire_epoch}-{n}" for n in (11, 21)]
    await reading.leave()


async def test_a_reader_that_is_slow_gets_what_is_so_when_it_reads_on(
    served: ServedEnvironment, ruleset: Ruleset
) -> None:
    reading = Reading(EventStreams(), served)
    reading.paused.clear()
    await until(lambda: bool(reading.parts))
    for _ in range(20):
        await change(ruleset, served)
    assert len(reading.parts) == 1
    reading.paused.set()
    (event,) = await reading.told(1)
    assert event["id"] == f"{ruleset.wire_epoch}-30"
    await reading.leave()


async def test_silence_is_filled_with_comments(served: ServedEnvironment) -> None:
    reading = Reading(EventStreams(heartbeat_s=0.02), served, served.etag)
    await until(lambda: reading.parts.count(HEARTBEAT) >= 3)
    assert reading.events == []
    await reading.leave()


async def test_a_stream_ends_when_its_key_is_revoked_and_no_other_does(
    on_stage: Stage, served: ServedEnvironment, ruleset: Ruleset
) -> None:
    streams = EventStreams()
    other = await on_stage.gateway.serve_key(OTHER_KEY, 5)
    reading, kept = Reading(streams, served), Reading(streams, other, other.etag)
    await until(lambda: len(streams) == 2)
    await ruleset.change((key_document(SERVER_KEY), None))
    await reading.over()
    await kept.told(1)
    assert len(streams) == 1
    await kept.leave()


async def test_nothing_is_left_of_a_peer_that_has_gone(
    on_stage: Stage, served: ServedEnvironment
) -> None:
    streams = EventStreams()
    reading = Reading(streams, served)
    await reading.told(1)
    (environment,) = on_stage.gateway.hub.environments.values()
    assert (len(streams), len(environment.listeners)) == (1, 1)
    await reading.leave()
    assert (len(streams), len(environment.listeners)) == (0, 0)


async def test_a_request_that_is_cancelled_leaves_nothing(served: ServedEnvironment) -> None:
    streams = EventStreams()
    reading = Reading(streams, served)
    await reading.told(1)
    reading.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading.task
    assert len(streams) == 0


async def test_streams_are_bounded_in_all_and_by_key(
    on_stage: Stage, served: ServedEnvironment
) -> None:
    other = await on_stage.gateway.serve_key(OTHER_KEY, 5)
    streams = EventStreams(limit=3, limit_of_key=2)
    first = [Reading(streams, served) for _ in range(2)]
    await until(lambda: len(streams) == 2)
    assert (streams.admits(served), streams.admits(other)) == (False, True)
    last = Reading(streams, other)
    await until(lambda: len(streams) == 3)
    assert not streams.admits(other)
    await first[0].leave()
    assert (streams.admits(served), streams.admits(other)) == (True, True)
    for reading in (first[1], last):
        await reading.leave()


async def test_a_drain_ends_every_stream_within_its_time_and_admits_no_other(
    served: ServedEnvironment,
) -> None:
    streams = EventStreams()
    readings = [Reading(streams, served) for _ in range(10)]
    for reading in readings:
        await reading.told(1)
    streams.end_all(0.2)
    assert not streams.admits(served)
    for reading in readings:
        await reading.over()
    assert len(streams) == 0


async def test_many_streams_are_not_all_told_in_one_moment(
    served: ServedEnvironment, ruleset: Ruleset
) -> None:
    streams = EventStreams()
    readings = [Reading(streams, served, served.etag) for _ in range(300)]
    await until(lambda: all(reading.parts for reading in readings))
    started = asyncio.get_running_loop().time()
    await change(ruleset, served)
    await until(lambda: any(reading.events for reading in readings))
    assert not all(reading.events for reading in readings)
    await until(lambda: all(reading.events for reading in readings))
    assert asyncio.get_running_loop().time() - started < 1
    for reading in readings:
        await reading.leave()


@pytest.mark.parametrize(
    "event_id", ["", "-", "7.1-", "7.1-x", "7-3", "-3", "x.y-3", "7.1-" + "9" * 30, "7.1-\u00b2"]
)
def test_what_is_no_position_is_before_all(event_id: str) -> None:
    assert read_position(event_id) == NOWHERE


async def test_positions_are_in_the_order_of_epochs_and_changes(served: ServedEnvironment) -> None:
    assert read_position(served.etag) == position_of(served)
    texts = ["1.1-9", "1.2-3", "1.2-10", "2.1-1", "10.1-1"]
    positions = [read_position(text) for text in texts]
    assert positions == sorted(positions)
