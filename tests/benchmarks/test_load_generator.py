"""The load generator against the real gateway: what it reports is what happened."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis.asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.stream.generator import Crowd, compiled, crowd
from benchmarks.stream.probe import xxh64
from streaming.settings import StreamSettings
from tests.streaming.stage import Stage, stage
from tests.streaming.writing import SERVER_KEY, Ruleset

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")


@pytest.fixture(scope="module")
def loadgen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("loadgen"))


@pytest.fixture
async def ruleset(redis_client: redis.asyncio.Redis) -> Ruleset:
    return await Ruleset(redis_client).create("a", "b", "c")


@pytest.fixture
async def on_stage(
    redis_client: redis.asyncio.Redis, ruleset: Ruleset, loadgen: Path
) -> AsyncIterator[tuple[Stage, Crowd]]:
    async with stage(redis_client, StreamSettings()) as running:
        async with crowd(running.port, loadgen) as clients:
            yield running, clients


def test_both_hashes_are_xxh64_as_published(loadgen: Path, tmp_path: Path) -> None:
    assert xxh64(b"") == 0xEF46DB3751D8E999
    assert xxh64(b"abc") == 0x44BC2CF5AD770999

    @settings(max_examples=20)
    @given(st.binary(max_size=200))
    def agree(data: bytes) -> None:
        file = tmp_path / "data"
        file.write_bytes(data)
        done = subprocess.run([loadgen, "hash", file], check=True, capture_output=True, text=True)
        assert int(done.stdout, 16) == xxh64(data)

    agree()


async def test_all_get_the_same_snapshot_and_each_change_once(
    on_stage: tuple[Stage, Crowd], ruleset: Ruleset
) -> None:
    _, clients = on_stage
    await clients.add(30, SERVER_KEY)
    status = await clients.synchronised(10)
    assert status["synchronised"] == 30
    assert [payload["count"] for payload in status["payloads"]] == [30]
    await clients.order("watch")
    first = status["highest_seq"]
    accepted_s = time.monotonic()
    await ruleset.change(("flag:a", {}))
    await clients.at(first + 1, 10)
    latency = await clients.latencies([(first + 1, accepted_s)])
    assert (latency["arrived"], latency["missing"]) == (30, 0)
    assert 0 < latency["max_ms"] < 10_000
    tally = await clients.order("tally 0 30")
    assert (tally["messages"], tally["least"], tally["least_last_span"]) == (30, 1, 1)


async def test_who_stops_reading_gets_nothing_and_then_everything(
    on_stage: tuple[Stage, Crowd], ruleset: Ruleset
) -> None:
    _, clients = on_stage
    await clients.add(4, SERVER_KEY)
    first = (await clients.synchronised(10))["highest_seq"]
    await clients.order("watch")
    await clients.order("stop 3 1")
    await ruleset.change(("flag:a", {}))
    await clients.order(f"accepted {first + 1} {time.monotonic()}")
    while (await clients.order("latencies 0 3"))["missing"]:
        pass
    assert (await clients.status())["lowest_seq"] == first
    await clients.order("resume 3 1")
    assert (await clients.at(first + 1, 10))["lowest_seq"] == first + 1


async def test_who_is_dropped_comes_back_and_resumes(
    on_stage: tuple[Stage, Crowd], ruleset: Ruleset
) -> None:
    _, clients = on_stage
    await clients.add(10, SERVER_KEY)
    first = (await clients.synchronised(10))["highest_seq"]
    await clients.mark()
    await clients.order("drop 0 10")
    await ruleset.change(("flag:b", {}))
    await clients.at(first + 1, 10)
    status = await clients.synchronised(10)
    assert status["synchronised"] == 10
    assert status["intents"]["full"] == 0
    assert status["intents"]["none"] + status["intents"]["changes"] == 10


async def test_who_is_refused_for_good_stays_away(on_stage: tuple[Stage, Crowd]) -> None:
    _, clients = on_stage
    await clients.add(3, SERVER_KEY + "x")
    while (status := await clients.status())["given_up"] < 3:
        pass
    assert status["closes"] == {"4401": 3}
    assert status["synchronised"] == 0
