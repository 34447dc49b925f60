"""One change to 4,000 and to 10,000 sockets: the gateway beside a bare loop with the same frame.

Measures the gateway alone, from a delta's arrival until the last byte of the last socket has been
read by a process in C, in turns with a loop that only writes (``bare_loop``), to as many sockets of
the same kind. The ratio that counts is that of the medians of the rounds' times. Then how much
resident memory an idle connection costs, beside a transport that nobody uses.

Goals: 0.9 of the bare loop, and 12 KB. Does not measure Redis, the SDK's work, TLS, or a network.
"""

from __future__ import annotations

import asyncio
import statistics
import time

from benchmarks.connection_memory import bytes_per_connection
from benchmarks.fan_out import CHANGES_PER_ROUND, ROUNDS, delta, frame_of, gateway_round, timed
from benchmarks.gateway_stage import everybody_synchronised, gateway_stage
from benchmarks.receivers import Receivers, language, receivers
from benchmarks.stream.bare_loop import BareLoop, bare_loop
from benchmarks.stream.goals import Goals, run
from tests.streaming.writing import SERVER_KEY

CONNECTIONS = 10_000
SMALLER = 4_000
RATIO, IDLE_KB = 0.9, 12

Times = list[tuple[float, float]]
"""Of each round, by the clock and of the writing process's processor."""


async def bare_round(
    bare: BareLoop, readers: Receivers, first: int, size: int
) -> tuple[float, float]:
    """One round of the floor."""
    done = await readers.count(size)
    began_s, worked_s = await bare.round(first, CHANGES_PER_ROUND)
    await done
    return time.perf_counter() - began_s, worked_s


async def in_turns(connections: int) -> tuple[Times, Times, int]:
    """The gateway's rounds, the floor's, and the size of one frame."""
    ours: Times = []
    floor: Times = []
    async with gateway_stage(flags=100) as (gateway, _, port), bare_loop() as bare:
        async with (
            receivers(port, connections, SERVER_KEY) as readers,
            receivers(bare.port, connections) as bare_readers,
        ):
            await everybody_synchronised(gateway, connections)
            for number in range(ROUNDS):
                first = 1 + number * CHANGES_PER_ROUND
                deltas = [delta(n) for n in range(first, first + CHANGES_PER_ROUND)]
                frames = [frame_of(each) for each in deltas]
                size = connections * sum(map(len, frames))
                floor.append(await bare_round(bare, bare_readers, first, size))
                ours.append(await timed(gateway_round(gateway, deltas), readers, size))
    return ours, floor, len(frames[0])


async def compare(goals: Goals, connections: int) -> None:
    """Take turns, and judge."""
    ours, floor, size = await in_turns(connections)
    messages = connections * CHANGES_PER_ROUND
    ours_s, ours_cpu_s = (statistics.median(column) for column in zip(*ours, strict=True))
    floor_s, floor_cpu_s = (statistics.median(column) for column in zip(*floor, strict=True))
    goals.at_least(f"{connections:,} sockets, of the bare loop's rate", floor_s / ours_s, RATIO)
    goals.note(
        f"gateway {messages / ours_s:,.0f} messages/s, bare loop {messages / floor_s:,.0f}; frames "
        f"of {size} bytes, readers in {language()}; by processor time "
        f"{floor_cpu_s / ours_cpu_s:.2f} of it"
    )


async def measure(goals: Goals, connections: int) -> None:
    """Both sizes, and the memory."""
    for count in sorted({min(SMALLER, connections), connections}):
        await compare(goals, count)
    ours, floor = await asyncio.to_thread(bytes_per_connection, connections)
    goals.at_most(f"{connections:,} idle connections, each", ours / 1024, IDLE_KB, "KB")
    goals.note(f"bare uvloop transports: {floor / 1024:.1f} KB each")


if __name__ == "__main__":
    run(measure, CONNECTIONS)
