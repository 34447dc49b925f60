"""From sending a command to the callback in a connected SDK, with 1 and with 1,000 SDKs.

The clock starts before the HTTP request is written and stops in the callback of a real SDK
(``AsyncClient``) in another process; all thousand SDKs share that one process, so the last of them
waits for the Python of the nine hundred and ninety-nine before it. The floor is what the two
stores alone need: one INSERT and COMMIT, then one PUBLISH until its subscriber has it. Does not
measure a network.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence

import asyncpg
import redis.asyncio
import uvloop

from benchmarks.server_stage import API, Stage, server_stage
from server.embedded.supervisor import EmbeddedServers

FLAGS = 200
CHANGES = {1: 300, 1_000: 60}


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` of them lie."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def report(what: str, times_s: Sequence[float]) -> None:
    """One line."""
    p50, p99 = (percentile(times_s, share) * 1e3 for share in (0.5, 0.99))
    print(f"{what:<46} p50 {p50:7.2f} ms   p99 {p99:7.2f} ms   ({len(times_s):,} samples)")


async def floor(servers: EmbeddedServers) -> list[float]:
    """INSERT and COMMIT, then PUBLISH until it was heard."""
    connection = await asyncpg.connect(servers.database_url)
    await connection.execute("create table floor (id bigserial primary key, body bytea)")
    insert = await connection.prepare("insert into floor (body) values ($1)")
    times: list[float] = []
    async with redis.asyncio.from_url(servers.redis_url) as client, client.pubsub() as heard:
        await heard.subscribe("floor")
        await heard.get_message(timeout=5)
        for _ in range(300):
            began = time.perf_counter()
            await insert.fetch(b"x" * 300)
            await client.publish("floor", b"x" * 600)
            await heard.get_message(timeout=5)
            times.append(time.perf_counter() - began)
    await connection.close()
    return times


async def measure_with(stage: Stage, sdks: int) -> None:
    """Change one flag again and again, each time until every SDK has called back."""
    crowd = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.sdk_crowd", stage.process.url, stage.key, str(sdks),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert crowd.stdout is not None
    assert (await crowd.stdout.readline()).strip() == b"ready"
    answers, first, last, every = [], [], [], []
    async with stage.api() as http:
        for number in range(CHANGES[sdks]):
            what = "disable" if number % 2 else "enable"
            began = time.perf_counter()
            answer = await http.post(f"{API}/flags/flag-7/environments/development/{what}")
            answers.append(time.perf_counter() - began)
            answer.raise_for_status()
            called = [at - began for at in json.loads(await crowd.stdout.readline())]
            first.append(min(called))
            last.append(max(called))
            every += called
    crowd.terminate()
    await crowd.wait()
    report(f"{sdks:>5} SDKs: until the answer over HTTP", answers)
    report(f"{sdks:>5} SDKs: until the callback, all of them", every)
    if sdks > 1:
        report(f"{sdks:>5} SDKs: until the first callback", first)
        report(f"{sdks:>5} SDKs: until the last callback", last)


async def measure() -> None:
    """The floor, and each number of SDKs."""
    async with server_stage(FLAGS) as stage:
        bare = await floor(stage.servers)
        report("INSERT+COMMIT, PUBLISH, heard (floor)", bare)
        for sdks in CHANGES:
            await measure_with(stage, sdks)
        print("goal: p99 <= 10 ms with one SDK")


def main() -> None:
    """Measure on uvloop."""
    uvloop.run(measure())


if __name__ == "__main__":
    main()
