"""A thousand of ten thousand readers stop reading while changes pass.

Measures: how long a change takes from its acceptance to each of the other nine thousand, with the
thousand stopped, and before and after that with all reading; by how much the server's memory grows
meanwhile; what the stopped ones get when they read again. Then the same for a minute, after which
the server has closed them, and they come back and resume.

Goals: a ratio of the p99s of at most 1.2; less than 20 MB; one message each beyond what was under
way when they stopped; all thousand closed (4408) after the minute, and back without a snapshot.

The changes go round over 50 flags, 1.8 KB each: 500 of them are some 900 KB per connection, which
is more than the buffers on its way can hold: 64 KB of the transport, 32 KB unsent in the kernel,
and the client's own, which is bound to 64 KB (SO_RCVBUF) on the thousand. A close frame to somebody
who does not read cannot arrive; the client sees the cut that follows it, and the server's count of
4408 is printed beside, where it tells.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import httpx

from benchmarks.stream.crowd import troubles
from benchmarks.stream.generator import Crowd, crowd
from benchmarks.stream.goals import Goals, run
from benchmarks.stream.project import Changer, flag_key, instants
from benchmarks.stream.resources import MIB, resident_bytes, watched
from benchmarks.stream.stage import Stage, stream_stage

CONNECTIONS = 10_000
STOPPED_SHARE = 10
FLAGS, CHANGED_FLAGS = 300, 50
CHANGES, PER_S = 500, 25.0
RECEIVE_BUFFER = 32 * 1024
"""Asked for; the kernel doubles it."""
MINUTE_S, MINUTE_PER_S = 60, 15.0
RATIO, GROWTH_MIB = 1.2, 20


def ended(status: Any) -> tuple[int, int]:
    """Connections that were closed with a code, and those that were cut."""
    return sum(status["closes"].values()), status["cuts"]


async def passing(clients: Crowd, changer: Changer, readers: int) -> Any:
    """Let the changes pass, and say how long they took to those who read."""
    await clients.order("watch")
    began_s = time.monotonic()
    made = await changer.keep_on(CHANGES, PER_S)
    took_s = time.monotonic() - began_s
    await asyncio.sleep(2)
    return {**await clients.latencies(instants(made), 0, readers), "took_s": took_s}


async def briefly(goals: Goals, stage: Stage, clients: Crowd, changer: Changer) -> None:
    """Stopped for as long as 500 changes take."""
    stopped = clients.size // STOPPED_SHARE
    readers = clients.size - stopped
    before = await passing(clients, changer, readers)
    await clients.mark()
    quiet = resident_bytes(stage.server.pid)
    async with watched(lambda: stage.server.running_pid) as peaks:
        await clients.order(f"stop {readers} {stopped}")
        beside = await passing(clients, changer, readers)
    await clients.order(f"resume {readers} {stopped}")
    await clients.at(changer.last_seq, 30)
    await asyncio.sleep(1)
    got = await clients.order(f"tally {readers} {stopped}")
    after = await passing(clients, changer, readers)
    for what, latency in (
        ("all reading, before", before),
        (f"{stopped:,} stopped", beside),
        ("all reading, after", after),
    ):
        goals.exactly(f"{what}: changes that did not arrive", latency["missing"], 0)
        goals.note(
            f"{what}: p50 {latency['p50_ms']} ms, p99 {latency['p99_ms']} ms, "
            f"max {latency['max_ms']} ms to {readers:,} readers; "
            f"{CHANGES} changes in {latency['took_s']:.1f} s"
        )
    ratio = beside["p99_ms"] / max(0.1, (before["p99_ms"] + after["p99_ms"]) / 2)
    goals.at_most("p99 of the others, with the stopped beside without", ratio, RATIO, "times")
    growth = (peaks.resident - quiet) / MIB
    goals.at_most("growth of the server's memory meanwhile", growth, GROWTH_MIB, "MB")
    goals.note(
        f"each of the stopped read {got['least']} to {got['most']} messages in the end; the last "
        f"one summed up {got['least_last_span']} changes or more"
    )
    # What was on its way covers less than half of the changes: the rest came in one message, last.
    goals.at_least("changes that the last message sums up", got["least_last_span"], CHANGES / 2)
    goals.exactly("connections that ended meanwhile", sum(ended(await clients.status())), 0)
    goals.exactly("snapshots", got["snapshots"], 0)


async def closed_by_server(stage: Stage) -> str:
    """How many were closed 4408 by the server's own account."""
    async with httpx.AsyncClient(base_url=stage.server.url, timeout=10) as http:
        answer = await http.get("/metrics")
    lines = re.findall(r"(?m)^\w*closes\w*\{[^}]*4408[^}]*\}.*$", answer.text)
    return lines[0] if answer.is_success and lines else "not told"


async def for_a_minute(goals: Goals, stage: Stage, clients: Crowd, changer: Changer) -> None:
    """Stopped for so long that the server gives them up."""
    stopped = clients.size // STOPPED_SHARE
    readers = clients.size - stopped
    await clients.mark()
    await clients.order(f"stop {readers} {stopped}")
    began_s = time.monotonic()
    made = await changer.keep_on(int(MINUTE_S * MINUTE_PER_S), MINUTE_PER_S)
    await asyncio.sleep(max(0.0, began_s + MINUTE_S - time.monotonic()))
    await clients.order(f"resume {readers} {stopped}")
    await clients.at(made[-1].seq, 30)
    status = await clients.synchronised(30)
    goals.exactly("a minute: connections that the server ended", sum(ended(status)), stopped)
    goals.exactly("a minute: back by changes", status["intents"]["changes"], stopped)
    goals.exactly("a minute: back by a snapshot", status["intents"]["full"], 0)
    goals.exactly("a minute: synchronised in the end", status["synchronised"], clients.size)
    goals.note(f"a minute: {troubles(status)}; the server: {await closed_by_server(stage)}")


async def measure(goals: Goals, connections: int) -> None:
    """Both."""
    stopped = connections // STOPPED_SHARE
    async with stream_stage(FLAGS) as stage, crowd(stage.server.port) as clients:
        await clients.add(connections - stopped, stage.key, over_s=5)
        await clients.add(stopped, stage.key, over_s=1, receive_buffer=RECEIVE_BUFFER)
        status = await clients.synchronised(60)
        goals.exactly("synchronised to begin with", status["synchronised"], connections)
        async with stage.api() as http:
            changer = Changer(http, [flag_key(number) for number in range(CHANGED_FLAGS)])
            await briefly(goals, stage, clients, changer)
            await for_a_minute(goals, stage, clients, changer)


if __name__ == "__main__":
    run(measure, CONNECTIONS)
