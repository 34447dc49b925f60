"""Who was served what: counted without loss, summed up, kept in bounds, sent on the side."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from halyard_protocol.context import Context
from halyard_protocol.messages import (
    MAX_CLIENT_FRAME_BYTES,
    MAX_EXPOSURE_COUNTERS,
    Dropped,
    Exposures,
    decode_client_message,
)
from halyard_protocol.ruleset import Flag
from halyard_sdk import AsyncClient, Client, exposures, follower, testing
from halyard_sdk.context_sample import ContextSample
from halyard_sdk.exposures import Batch, Key, Tally
from halyard_sdk.openfeature import HalyardProvider
from msgspec.structs import replace
from openfeature.evaluation_context import EvaluationContext

from tests.sdk_python.test_client import Program
from tests.support.stream_peer import KEY, TIMEOUT_S, StreamPeer, Talk, flag

TRACKED = {"trackExposures": True}


def tracked(of: testing.FlagBuilder, version: int = 1) -> Flag:
    return replace(of.build(), version=version, track_exposures=True)


def in_memory() -> testing.InMemoryClient:
    """A flag that is tracked, simple and quick; one that depends on time; one that is not tracked;
    one that cannot be shared."""
    flags = testing.client({"silent": True})
    flags.put(tracked(testing.flag("loud", True, False).target(False, "bob"), 7))
    flags.put(tracked(testing.flag("plan", {"a": 1})))
    flags.put(tracked(testing.flag("off", "x").disable()))
    return flags


def read(batch: Batch) -> Exposures:
    assert len(batch.frame) <= MAX_CLIENT_FRAME_BYTES
    message = decode_client_message(batch.frame)
    assert isinstance(message, Exposures)
    assert 0 < message.from_ <= message.to
    return message


def messages(tally: Tally) -> Iterator[Exposures]:
    tally.collect()
    while (batch := tally.batch(0)) is not None:
        yield read(batch)


def sums(*of: Exposures) -> Counter[Key]:
    total: Counter[Key] = Counter()
    for message in of:
        for key, counted in message.flags.items():
            for one in counted:
                total[key, one.version, one.variation, one.reason] += one.count
    return total


def counted(flags: testing.InMemoryClient) -> Counter[Key]:
    return sums(*messages(flags._tally))


# --- what counts


def test_every_way_to_ask_for_a_tracked_flag_counts_once() -> None:
    flags = in_memory()
    for _ in range(100):  # interpreted at first, then compiled
        flags.variation("loud", "ann", False)
        flags.boolean("loud", "bob", False)
        flags.detail("loud", {"key": "ann"}, False)
        flags.detail("loud", "ann", False, explain=True)
        flags.json("plan", "ann", None)
    assert counted(flags) == {
        ("loud", 7, "variation-0", "FALLTHROUGH"): 300,
        ("loud", 7, "variation-1", "TARGET_MATCH"): 100,
        ("plan", 1, "variation-0", "FALLTHROUGH"): 100,
    }
    assert counted(flags) == {}


def test_flags_that_are_not_tracked_and_lists_of_all_flags_do_not_count() -> None:
    flags = in_memory()
    for _ in range(100):
        flags.variation("silent", "ann", False)
        flags.boolean("silent", "ann", False)
        flags.variation("missing", "ann", False)
        flags.variation("loud", None, False)  # type: ignore[arg-type]
        flags.all_flags("ann")
    assert counted(flags) == {}
    assert flags.dropped_exposures == 0


def test_what_openfeature_asks_for_counts() -> None:
    flags = in_memory()
    provider = HalyardProvider(flags)
    for _ in range(50):
        provider.resolve_boolean_details("loud", False, EvaluationContext("bob"))
    assert counted(flags) == {("loud", 7, "variation-1", "TARGET_MATCH"): 50}


def test_where_the_default_is_served_there_is_no_variation() -> None:
    flags = in_memory()
    for _ in range(50):
        flags.string("loud", "ann", "?")
        flags.variation("off", "ann", "?")
    assert counted(flags) == {
        ("loud", 7, None, "ERROR"): 50,
        ("off", 1, None, "DISABLED"): 50,
    }


def test_versions_count_apart_and_tracking_can_be_switched() -> None:
    flags = in_memory()
    for version in (8, 9):
        flags.put(tracked(testing.flag("loud", True, False), version))
        for _ in range(50):
            flags.variation("loud", "ann", False)
    flags.put(testing.flag("loud", True, False))
    for _ in range(50):
        flags.variation("loud", "ann", False)
    assert counted(flags) == {
        ("loud", 8, "variation-0", "FALLTHROUGH"): 50,
        ("loud", 9, "variation-0", "FALLTHROUGH"): 50,
    }


def test_no_count_of_any_thread_is_lost() -> None:
    flags = in_memory()
    told: list[Exposures] = []
    begin = threading.Barrier(9)

    def ask(number: int) -> None:
        begin.wait()
        for turn in range(20_000):
            flags.variation("loud", ("ann", "bob")[turn & 1], False)
            if turn % 100 == number:  # new counters come up in all threads at once
                flags.put(tracked(testing.flag(f"new-{turn}", True)))
                flags.boolean(f"new-{turn}", "ann", False)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        begin.wait()
        while any(thread.is_alive() for thread in threads):
            told += messages(flags._tally)
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval_s)
    total = sums(*told, *messages(flags._tally))
    assert sum(n for (key, *_), n in total.items() if key == "loud") == 160_000
    assert total["loud", 7, "variation-1", "TARGET_MATCH"] == 80_000
    assert flags.dropped_exposures == 0


# --- bounds


def asked_of_many(number: int) -> testing.InMemoryClient:
    """A client whose flags, so many, were each asked for once."""
    flags = testing.client()
    ruleset = flags.ruleset
    many = (tracked(testing.flag(f"flag-{n}" + "x" * 100, True)) for n in range(number))
    flags.ruleset = replace(ruleset, flags={one.key: one for one in many})
    for key in flags.ruleset.flags:
        flags.variation(key, "ann", False)
    return flags


def test_what_is_more_than_one_message_holds_is_told_in_several() -> None:
    flags = asked_of_many(2_500)
    told = list(messages(flags._tally))
    assert len(told) > 2
    assert all(sum(map(len, each.flags.values())) <= MAX_EXPOSURE_COUNTERS for each in told)
    assert len(sums(*told)) == 2_500
    assert set(sums(*told).values()) == {1}
    assert len({(each.from_, each.to) for each in told}) == 1


def test_there_are_only_so_many_counters_and_the_rest_is_told_as_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exposures, "MAX_COUNTERS", 10)
    flags = testing.client()
    flags._begin_evaluations(Tally(ContextSample()))
    for number in range(13):
        flags.put(tracked(testing.flag(f"flag-{number}", True)))
        flags.variation(f"flag-{number}", "ann", False)
    flags.variation("flag-0", "ann", False)
    [told] = messages(flags._tally)
    assert (len(told.flags), sums(told).total(), told.dropped) == (10, 11, Dropped(3))
    assert flags.dropped_exposures == 3
    flags.variation("flag-12", "ann", False)
    [told] = messages(flags._tally)
    assert (sums(told).total(), told.dropped) == (1, None)


def test_a_count_is_bounded_and_its_rest_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposures, "MAX_EXPOSURE_COUNT", 40)
    flags = in_memory()
    for _ in range(100):
        flags.variation("loud", "ann", False)
    told = list(messages(flags._tally))
    assert [sums(each).total() for each in told] == [40, 40, 20]


def test_what_could_not_be_sent_waits_and_is_told_once() -> None:
    flags = in_memory()
    tally = flags._tally
    flags.variation("loud", "ann", False)
    tally.collect()
    batch = tally.batch(2)
    assert batch is not None
    assert read(batch).dropped == Dropped(0, 2)
    assert tally.batch(2) is None
    tally.give_back(batch)
    flags.variation("loud", "ann", False)
    tally.collect()
    again = tally.batch(3)
    assert again is not None
    message = read(again)
    assert (sums(message).total(), message.dropped) == (2, Dropped(0, 3))
    assert message.from_ == read(batch).from_
    assert tally.batch(3) is None


def test_once_closed_what_waits_counts_as_dropped() -> None:
    flags = in_memory()
    flags.variation("loud", "ann", False)
    assert flags.dropped_exposures == 0
    flags._tally.close()
    flags.variation("loud", "ann", False)
    assert flags.dropped_exposures == 2
    assert sums(*messages(flags._tally)).total() == 2
    assert flags.dropped_exposures == 0


def test_names_that_fit_into_no_message_are_dropped() -> None:
    flags = testing.client()
    flags.put(tracked(testing.flag("x" * 40_000, True)))
    flags.put(tracked(testing.flag("y", True)))
    for key in flags.ruleset.flags:
        flags.variation(key, "ann", False)
    told = list(messages(flags._tally))
    assert sums(*told) == {("y", 1, "variation-0", "FALLTHROUGH"): 1}
    assert flags.dropped_exposures == 1


# --- over sockets


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "EXPOSURES_PERIOD_S", 0.02)


async def hears_counts(talk: Talk) -> dict[str, int]:
    """By flag, of the next message."""
    message = await talk.hears()
    assert message["type"] == "exposures", message
    return {key: sum(one["count"] for one in of) for key, of in message["flags"].items()}


async def hears_total(talk: Talk, number: int) -> None:
    """Listen until so many of ``beta`` were told."""
    while number:
        number -= (await hears_counts(talk))["beta"]
        assert number >= 0


@pytest.mark.usefixtures("hasty")
async def test_sums_are_sent_while_there_is_a_connection(peer: StreamPeer) -> None:
    async with AsyncClient(peer.url, KEY) as flags:
        talk = await peer.talk()
        await talk.synchronises(3, flag("beta", version=5, **TRACKED), flag("gamma"))
        assert await flags.wait_ready(TIMEOUT_S)
        for _ in range(300):
            assert flags.boolean("beta", "ann", False)
            assert flags.boolean("gamma", "ann", False)
        message = await talk.hears()
        assert message["flags"] == {
            "beta": [{"version": 5, "variation": "on", "reason": "FALLTHROUGH", "count": 300}]
        }
        assert message["contexts"] == [{"kind": "user", "key": "ann"}]
        assert "dropped" not in message
        flags.track("", "ann")  # no event, and dropped
        assert (await talk.hears())["dropped"] == {"events": 1}
        flags.boolean("beta", "ann", False)
        assert await hears_counts(talk) == {"beta": 1}


@pytest.mark.usefixtures("hasty")
async def test_what_is_counted_without_a_connection_is_told_over_the_next(
    peer: StreamPeer,
) -> None:
    async with AsyncClient(peer.url, KEY) as flags:
        talk = await peer.talk()
        await talk.synchronises(3, flag("beta", **TRACKED))
        assert await flags.wait_ready(TIMEOUT_S)
        flags.boolean("beta", "ann", False)
        await hears_total(talk, 1)
        talk.breaks()
        again = await peer.talk()
        assert (await again.hears())["type"] == "hello"
        for _ in range(10):
            flags.boolean("beta", "ann", False)
            await asyncio.sleep(0.005)  # some periods pass
        await again.welcomes("none", 3)
        await hears_total(again, 10)
        assert flags.dropped_exposures == 0


@pytest.mark.usefixtures("hasty")
async def test_a_hand_over_loses_none(peer: StreamPeer) -> None:
    async with AsyncClient(peer.url, KEY) as flags:
        talk = await peer.talk()
        await talk.synchronises(3, flag("beta", **TRACKED))
        assert await flags.wait_ready(TIMEOUT_S)
        heard: list[int] = []

        async def listen(to: Talk) -> None:
            async for frame in to.socket:
                message = decode_client_message(
                    frame if isinstance(frame, bytes) else frame.encode()
                )
                if isinstance(message, Exposures):
                    heard.append(sums(message).total())

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(listen(talk))
            asked = 0
            for successor in range(3):
                await talk.says("goodbye", reason="restart", reconnectAfterMs=0)
                next_talk = asyncio.create_task(peer.talk())
                while not next_talk.done():
                    flags.boolean("beta", "ann", False)
                    asked += 1
                    await asyncio.sleep(0.001)
                talk = next_talk.result()
                assert (await talk.hears())["type"] == "hello", successor
                tasks.create_task(listen(talk))
                await talk.welcomes("none", 3)
            await flags.close()
        assert sum(heard) == asked
        assert flags.dropped_exposures == 0


async def test_a_close_sends_what_was_counted(peer: StreamPeer) -> None:
    client = Client(peer.url, KEY)
    talk = await peer.talk()
    await talk.synchronises(3, flag("beta", **TRACKED))
    assert await asyncio.to_thread(client.wait_ready, TIMEOUT_S)
    for _ in range(1_000):
        client.variation("beta", Context.of("ann"), False)
    client.track("bought", "ann")
    closing = asyncio.create_task(asyncio.to_thread(client.close))
    assert (await talk.hears())["type"] == "track"
    assert await hears_counts(talk) == {"beta": 1_000}
    assert await talk.hears_close() == 1000
    await closing
    client.variation("beta", "ann", False)
    assert client.dropped_exposures == 1


async def test_a_client_that_is_refused_for_good_drops_what_is_counted(peer: StreamPeer) -> None:
    async with AsyncClient(peer.url, KEY) as flags:
        talk = await peer.talk()
        await talk.synchronises(3, flag("beta", **TRACKED))
        assert await flags.wait_ready(TIMEOUT_S)
        flags.boolean("beta", "ann", False)
        await talk.closes(4401, "revoked")
        assert not await flags.wait_ready(TIMEOUT_S, stale_ok=False)
        flags.boolean("beta", "ann", False)
        assert flags.dropped_exposures == 2


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [{"kind": "user", "key": "ann", "email": "a@example.org", "plan": "pro"}]),
        ({"private_attributes": ("email",)}, [{"kind": "user", "key": "ann", "plan": "pro"}]),
        ({"sample_contexts": False}, None),
    ],
)
async def test_what_is_told_of_contexts_is_the_program_s_to_say(
    peer: StreamPeer, options: dict[str, Any], expected: Any
) -> None:
    flags = AsyncClient(peer.url, KEY, **options)
    await flags.start()
    talk = await peer.talk()
    await talk.synchronises(3, flag("beta", **TRACKED))
    assert await flags.wait_ready(TIMEOUT_S)
    flags.boolean("beta", {"key": "ann", "email": "a@example.org", "plan": "pro"}, False)
    message, _ = await asyncio.gather(talk.hears(), flags.close())
    assert message.get("contexts") == expected
    assert message["flags"]["beta"][0]["count"] == 1


FORK_AND_ASK = """
import os, sys
from halyard_sdk import Client

client = Client(sys.argv[1], sys.argv[2])
client.wait_ready(10)
for _ in range(100):
    client.boolean("beta", "parent", False)
if os.fork() == 0:
    for _ in range(7):
        client.boolean("beta", "child", False)
    client.wait_ready(10, stale_ok=False)
    client.close()
    os._exit(0)
os.wait()
client.close()
print("done", flush=True)
"""


async def test_after_a_fork_each_tells_of_its_own_alone(peer: StreamPeer) -> None:
    program = await Program.start(FORK_AND_ASK, peer.url, KEY)
    parent = await peer.talk()
    await parent.synchronises(3, flag("beta", **TRACKED))
    child = await peer.talk()
    assert (await child.hears())["type"] == "hello"
    await child.welcomes("none", 3)
    told = await child.hears()
    assert told["flags"]["beta"][0]["count"] == 7
    assert told["contexts"] == [{"kind": "user", "key": "child"}]
    assert await child.hears_close() == 1000
    assert await hears_counts(parent) == {"beta": 100}
    assert await parent.hears_close() == 1000
    assert await program.prints() == "done"
    await program.ends()
