"""From a change's acceptance to the last of ten thousand SDKs, and to the callback of one.

The clock starts when the answer over HTTP has been read. For the crowd it stops when the last of
them has read the change from its socket; for the one real SDK (``halyard_sdk``, in another process)
in its callback. The server does everything in one process, and answers HTTP before it tells; what
the two stores alone need for a change, and what a bare loop needs to write a frame to as many
sockets, is measured beside it.

Goals: p99 of 150 ms and of 10 ms. Does not measure TLS or a network.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence

from benchmarks.fan_out import delta, frame_of
from benchmarks.latency import floor, percentile
from benchmarks.receivers import receivers
from benchmarks.stream.bare_loop import bare_loop
from benchmarks.stream.generator import crowd
from benchmarks.stream.goals import Goals, run
from benchmarks.stream.project import Changer, flag_key, instants
from benchmarks.stream.sdks import reached_s, real_sdks
from benchmarks.stream.stage import Stage, stream_stage

CONNECTIONS = 10_000
FLAGS = 300
CHANGES, PER_S = 150, 4.0
CHANGES_TO_ONE, PER_S_TO_ONE = 300, 20.0
LAST_MS, ONE_MS = 150, 10


def quantiles(times_s: Sequence[float]) -> str:
    """For a line of what was seen."""
    p50, p99 = (percentile(times_s, share) * 1e3 for share in (0.5, 0.99))
    return f"p50 {p50:.2f} ms, p99 {p99:.2f} ms"


async def to_one(goals: Goals, stage: Stage, changer: Changer) -> None:
    """With one real SDK and nobody else."""
    bare = await floor(stage.servers)
    goals.note(f"floor: INSERT and COMMIT, PUBLISH until heard: {quantiles(bare)}")
    async with real_sdks(stage.server.url, stage.key, 1) as sdks:
        await sdks.ready()
        made = await changer.keep_on(CHANGES_TO_ONE, PER_S_TO_ONE)
        await asyncio.sleep(1)
        (report,) = await sdks.report()
    took_s = [reached_s(report["told"], change) for change in made]
    goals.at_most(
        "accepted to one SDK's callback, p99", percentile(took_s, 0.99) * 1e3, ONE_MS, "ms"
    )
    goals.note(f"one SDK: {quantiles(took_s)}")
    answered = [change.accepted_s - change.ordered_s for change in made]
    goals.note(f"from the request to the answer: {quantiles(answered)}")


async def to_all(goals: Goals, stage: Stage, changer: Changer, connections: int) -> None:
    """With the crowd."""
    async with crowd(stage.server.port) as clients:
        await clients.add(connections, stage.key, over_s=5)
        status = await clients.synchronised(60)
        goals.exactly("synchronised to begin with", status["synchronised"], connections)
        await clients.order("watch")
        made = await changer.keep_on(CHANGES, PER_S)
        await clients.at(made[-1].seq, 10)
        latency = await clients.latencies(instants(made))
    goals.exactly("arrived", latency["arrived"], connections * CHANGES)
    last_ms = latency["last_p99_ms"] if latency["arrived"] else math.inf
    goals.at_most(f"accepted to the last of {connections:,}, p99", last_ms, LAST_MS, "ms")
    goals.note(
        f"to the last: p50 {latency['last_p50_ms']} ms, max {latency['max_ms']} ms; "
        f"to any: p50 {latency['p50_ms']} ms, p99 {latency['p99_ms']} ms"
    )


async def bare_writes(goals: Goals, connections: int) -> None:
    """The floor of the crowd: one frame to as many bare transports until the last has read it."""
    took_s: list[float] = []
    async with bare_loop() as bare, receivers(bare.port, connections) as readers:
        await asyncio.sleep(1)
        for number in range(1, 41):
            done = await readers.count(connections * len(frame_of(delta(number))))
            began_s, _ = await bare.round(number, 1)
            await done
            took_s.append(time.perf_counter() - began_s)
    goals.note(f"floor: a bare loop's frame to the last of {connections:,}: {quantiles(took_s)}")


async def measure(goals: Goals, connections: int) -> None:
    """One, all, and the floors."""
    await bare_writes(goals, connections)
    async with stream_stage(FLAGS) as stage, stage.api() as http:
        changer = Changer(http, [flag_key(number) for number in range(FLAGS)])
        await to_one(goals, stage, changer)
        await to_all(goals, stage, changer, connections)


if __name__ == "__main__":
    run(measure, CONNECTIONS)
