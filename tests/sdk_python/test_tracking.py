"""What contexts did: kept in bounds, sent on the side, dropped and counted where it must be."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from halyard_protocol.context import Context
from halyard_protocol.messages import (
    MAX_CLIENT_FRAME_BYTES,
    MAX_TRACKING_EVENT_BYTES,
    Track,
    TrackingEvent,
    decode_client_message,
    track_frame,
)
from halyard_sdk import AsyncClient, Client, follower, testing, tracking
from halyard_sdk.tracking import MAX_WAITING, MAX_WAITING_BYTES, Tracker

from tests.sdk_python.test_client import Program
from tests.support.stream_peer import KEY, TIMEOUT_S, StreamPeer, Talk, flag

LOOPING: dict[str, Any] = {}
LOOPING["again"] = LOOPING


class Stranger:
    """No JSON, and it resents being looked at."""

    def __repr__(self) -> str:
        raise RuntimeError

    __str__ = __eq__ = __hash__ = __bool__ = __repr__  # type: ignore[assignment]


def read(batch: tuple[bytes, ...]) -> tuple[TrackingEvent, ...]:
    message = decode_client_message(track_frame(batch))
    assert isinstance(message, Track)
    return message.events


def tracker_with(*names: str) -> Tracker:
    tracker = Tracker()
    for name in names:
        tracker.add(name, "alice", None, None)
    return tracker


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_an_event_has_the_keys_of_its_context_and_no_more_of_it() -> None:
    tracker = Tracker()
    several = {"kind": "multi", "user": {"key": "alice", "age": 61}, "organization": {"plan": "a"}}
    earliest_ms = int(datetime.now(UTC).timestamp() * 1000)
    tracker.add("bought", several, 9.95, {"articles": [1, "two"], "at": datetime(2026, 6, 15)})  # noqa: DTZ001
    tracker.add("looked", Context.of("bob"), None, None)
    bought, looked = read(tracker.batch())
    assert bought.at >= earliest_ms
    assert bought == TrackingEvent(
        "bought",
        bought.at,
        {"user": "alice"},
        9.95,
        {"articles": [1, "two"], "at": "2026-06-15T00:00:00"},
    )
    assert (looked.keys, looked.value, looked.metadata) == ({"user": "bob"}, None, {})
    assert tracker.batch() == ()
    assert tracker.dropped == 0


UNFIT: dict[str, tuple[Any, Any, Any, Any]] = {
    "no name": ("", "alice", None, None),
    "a long name": ("n" * 201, "alice", None, None),
    "a name that is none": (Stranger(), "alice", None, None),
    "a name that is no Unicode": ("\ud800", "alice", None, None),
    "no context": ("bought", None, None, None),
    "an empty key": ("bought", "", None, None),
    "a value that is no number": ("bought", "alice", "9.95", None),
    "a value that is true": ("bought", "alice", True, None),
    "a value that is not finite": ("bought", "alice", float("nan"), None),
    "a value beyond all doubles": ("bought", "alice", 10**400, None),
    "metadata that are no object": ("bought", "alice", None, 5),
    "metadata that are no JSON": ("bought", "alice", None, {"x": object()}),
    "metadata that resent it": ("bought", "alice", None, {"x": Stranger()}),
    "metadata in a circle": ("bought", "alice", None, LOOPING),
    "metadata that nest too deep": ("bought", "alice", None, {"x": nested(32)}),
    "too large": ("bought", "alice", None, {"x": "x" * MAX_TRACKING_EVENT_BYTES}),
}


@pytest.mark.parametrize("arguments", UNFIT.values(), ids=UNFIT)
def test_what_is_no_event_is_dropped_and_counted(arguments: tuple[Any, Any, Any, Any]) -> None:
    flags = testing.client()
    flags.track(*arguments)
    assert flags.tracked == ()
    assert flags.dropped_events == 1


def test_metadata_may_nest_as_deep_as_a_value() -> None:
    flags = testing.client()
    flags.track("bought", "alice", metadata={"x": nested(31)})
    assert flags.dropped_events == 0


def test_one_drop_is_a_warning_more_are_not(caplog: pytest.LogCaptureFixture) -> None:
    flags = testing.client()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            flags.track("", "alice")
    assert len(caplog.records) == 1
    assert flags.dropped_events == 3


def test_only_so_many_wait() -> None:
    tracker = tracker_with(*["x"] * (MAX_WAITING + 2))
    assert tracker.dropped == 2
    tracker.batch()
    tracker.add("y", "alice", None, None)
    assert tracker.dropped == 2


def test_only_so_many_bytes_wait() -> None:
    tracker = Tracker()
    large = {"x": "x" * 4_000}
    for _ in range(300):
        tracker.add("x", "alice", None, large)
    held = sum(map(len, iter_events(tracker)))
    assert tracker.dropped > 0
    assert MAX_WAITING_BYTES - 5_000 < held <= MAX_WAITING_BYTES


def iter_events(tracker: Tracker) -> Iterator[bytes]:
    while batch := tracker.batch():
        yield from batch


def test_a_batch_fits_into_a_frame_and_none_is_missing() -> None:
    names = [f"event-{nr}" for nr in range(2_000)]
    tracker = tracker_with(*names)
    batches = []
    while batch := tracker.batch():
        batches.append(batch)
    assert len(batches) > 1
    assert all(len(track_frame(batch)) <= MAX_CLIENT_FRAME_BYTES for batch in batches)
    assert [event.name for batch in batches for event in read(batch)] == names


def test_once_closed_what_waits_counts_as_dropped_and_more_is_not_kept() -> None:
    tracker = tracker_with("a", "b")
    tracker.close()
    assert tracker.dropped == 2
    tracker.add("c", "alice", None, None)
    assert tracker.dropped == 3
    assert [event.name for event in read(tracker.batch())] == ["a", "b"]
    assert tracker.dropped == 1


async def test_in_the_test_kit_what_was_tracked_can_be_seen() -> None:
    with testing.client() as flags:
        flags.track("bought", "alice", 2)
        assert [(event.name, event.value) for event in flags.tracked] == [("bought", 2)]
        flags.track("left", "alice")
    assert [event.name for event in flags.tracked] == ["bought", "left"]
    flags.track("late", "alice")
    assert (len(flags.tracked), flags.dropped_events) == (2, 1)
    async with testing.async_client() as others:
        others.track("bought", "bob")
        assert others.tracked[0].keys == {"user": "bob"}


# --- over sockets


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "TRACK_PERIOD_S", 0.01)


async def hears_names(talk: Talk) -> list[str]:
    message = await talk.hears()
    assert message["type"] == "track"
    return [event["name"] for event in message["events"]]


@pytest.mark.usefixtures("hasty")
async def test_events_are_sent_in_batches_once_the_hello_was_answered(peer: StreamPeer) -> None:
    async with AsyncClient(peer.url, KEY) as flags:
        flags.track("early", "alice")
        talk = await peer.talk()
        assert (await talk.hears())["type"] == "hello"
        flags.track("second", "alice", 1.5, {"a": 1})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await talk.socket.recv()
        await talk.welcomes("full", 3)
        await talk.snapshots(3, flag("beta"))
        assert await hears_names(talk) == ["early", "second"]
        flags.track("third", "alice")
        assert await hears_names(talk) == ["third"]
        assert flags.dropped_events == 0


@pytest.mark.usefixtures("hasty")
async def test_events_wait_while_there_is_no_connection(peer: StreamPeer) -> None:
    async with AsyncClient(peer.url, KEY) as flags:
        talk = await peer.talk()
        await talk.synchronises(3, flag("beta"))
        assert await flags.wait_ready(TIMEOUT_S)
        talk.breaks()
        again = await peer.talk()
        flags.track("meanwhile", "alice")
        assert (await again.hears())["type"] == "hello"
        await again.welcomes("none", 3)
        assert await hears_names(again) == ["meanwhile"]
        assert flags.dropped_events == 0


async def test_a_close_sends_what_waits(peer: StreamPeer) -> None:
    flags = AsyncClient(peer.url, KEY)
    await flags.start()
    talk = await peer.talk()
    await talk.synchronises(3, flag("beta"))
    assert await flags.wait_ready(TIMEOUT_S)
    flags.track("last", "alice")
    _, heard, code = await asyncio.gather(flags.close(), hears_names(talk), hears_end(talk))
    assert (heard, code) == (["last"], 1000)
    flags.track("too late", "alice")
    assert flags.dropped_events == 1


async def hears_end(talk: Talk) -> int | None:
    async with asyncio.timeout(TIMEOUT_S):
        await talk.socket.wait_closed()
    return talk.socket.close_code


async def test_a_close_does_not_wait_for_a_server_that_does_not_read(
    peer: StreamPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "LAST_WORD_S", 0.05)
    monkeypatch.setattr(tracking, "MAX_WAITING_BYTES", 2**26)  # more than sockets take in
    flags = AsyncClient(peer.url, KEY)
    await flags.start()
    talk = await peer.talk()
    await talk.synchronises(3, flag("beta"))
    assert await flags.wait_ready(TIMEOUT_S)
    talk.socket.transport.pause_reading()
    for _ in range(6_000):
        flags.track("x", "alice", None, {"x": "x" * 4_000})
    assert flags.dropped_events == 0
    async with asyncio.timeout(TIMEOUT_S):
        await flags.close()
    assert flags.dropped_events > 0


async def test_a_client_that_is_refused_for_good_drops_what_is_tracked(peer: StreamPeer) -> None:
    async with AsyncClient(peer.url, KEY) as flags:
        flags.track("waiting", "alice")
        await (await peer.talk()).closes(4401, "no such key")
        assert not await flags.wait_ready(TIMEOUT_S)
        flags.track("more", "alice")
        assert flags.dropped_events == 2


async def test_any_thread_may_track(peer: StreamPeer) -> None:
    client = Client(peer.url, KEY)
    talk = await peer.talk()
    await talk.synchronises(3, flag("beta"))
    assert await asyncio.to_thread(client.wait_ready, TIMEOUT_S)
    await asyncio.gather(
        *(asyncio.to_thread(client.track, f"event-{nr}", "alice") for nr in range(50))
    )
    closing = asyncio.create_task(asyncio.to_thread(client.close))
    assert sorted(await hears_names(talk)) == sorted(f"event-{nr}" for nr in range(50))
    assert await talk.hears_close() == 1000
    await closing
    assert client.dropped_events == 0


FORK_AND_TRACK = """
import os, sys
from halyard_sdk import Client

client = Client(sys.argv[1], sys.argv[2])
client.wait_ready(10)
client.track("parent", "alice")
if os.fork() == 0:
    client.track("child", "bob")
    client.wait_ready(10, stale_ok=False)
    client.close()
    os._exit(0)
os.wait()
client.close()
print("done", flush=True)
"""


async def test_after_a_fork_each_sends_what_it_was_told(peer: StreamPeer) -> None:
    program = await Program.start(FORK_AND_TRACK, peer.url, KEY)
    parent = await peer.talk()
    await parent.synchronises(3, flag("beta"))
    child = await peer.talk()
    assert (await child.hears())["type"] == "hello"
    await child.welcomes("none", 3)
    assert await hears_names(child) == ["child"]
    assert await child.hears_close() == 1000
    assert await hears_names(parent) == ["parent"]
    assert await parent.hears_close() == 1000
    assert await program.prints() == "done"
    await program.ends()
