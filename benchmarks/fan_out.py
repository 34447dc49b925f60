"""One change to many connections: the gateway beside a bare loop that writes the same frame.

Both write from one process on uvloop, in the same run and in turns, to as many sockets that the
same other process reads. The floor's loop knows nothing: it writes one frame to each transport.
The ratio that counts is that of the medians of the rounds' times, from the delta's arrival until
the last byte of the last socket has been read.

Does not measure Redis, the SDK's work, TLS, or a network.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from typing import Any, cast

import msgspec
import uvloop
from halyard_protocol.session.feed import Delta

from benchmarks.gateway_stage import environment_of, everybody_synchronised, gateway_stage
from benchmarks.receivers import Receivers, language, receivers
from streaming.framing import text_frame
from streaming.gateway import Gateway
from tests.streaming.writing import SERVER_KEY

CONNECTIONS = 4_000
ROUNDS = 15
CHANGES_PER_ROUND = 10
SLICE = 512
"""Writes per turn of the floor's loop: with one turn for all it is no faster, and nobody else
would get a turn."""


class Listener(asyncio.Protocol):
    """The floor: keeps its transport."""

    transports: list[asyncio.Transport] = []  # noqa: RUF012

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transports.append(cast("asyncio.Transport", transport))


def delta(number: int) -> Delta:
    """The n-th change of one flag, of about 600 bytes."""
    document: dict[str, Any] = {
        "key": "flag-0",
        "version": 10 + number,
        "type": "boolean",
        "enabled": number % 2 == 0,
        "variations": [{"key": "on", "value": True}, {"key": "off", "value": False}],
        "rules": [
            {"id": f"r{n}", "when": {"all": []}, "serve": {"variation": "on"}} for n in "12345"
        ],
    }
    body = msgspec.json.encode(document)
    return Delta("7.1", 9 + number, 10 + number, 10 + number, {"flag:flag-0": body})


async def floor_round(transports: list[asyncio.Transport], frames: list[bytes]) -> None:
    """Write each frame to each transport."""
    for frame in frames:
        for start in range(0, len(transports), SLICE):
            for transport in transports[start : start + SLICE]:
                transport.write(frame)
            await asyncio.sleep(0)


async def gateway_round(gateway: Gateway, deltas: list[Delta]) -> None:
    """Hand each delta to the environment, as its subscription does."""
    environment: Any = environment_of(gateway)
    for each in deltas:
        before = gateway.counters.broadcast_frames
        environment.hear(each, 1_000)
        while gateway.counters.broadcast_frames < before + len(environment.connections):
            await asyncio.sleep(0)


async def timed(round_: Any, readers: Receivers, count: int) -> tuple[float, float]:
    """Wall and processor seconds until everything was read."""
    done = await readers.count(count)
    began, worked = time.perf_counter(), time.process_time()
    await round_
    worked = time.process_time() - worked
    await done
    return time.perf_counter() - began, worked


def frame_of(change: Delta) -> bytes:
    """The frame that the gateway makes of a delta."""
    body = change.documents["flag:flag-0"]
    head = (
        f'{{"type":"changes","epoch":"7.1","from":{change.since},"to":{change.to},"put":{{"flags":['
    )
    return text_frame(
        [head.encode(), body, b'],"segments":[]},"delete":{"flags":[],"segments":[]}}']
    )


async def compare(connections: int) -> None:
    """Take turns, and print what came out."""
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(Listener, "127.0.0.1", 0, backlog=2048)
    port = listener.sockets[0].getsockname()[1]
    ours: list[tuple[float, float]] = []
    floor: list[tuple[float, float]] = []
    async with gateway_stage(flags=100) as (gateway, _, gateway_port):
        async with (
            receivers(gateway_port, connections, SERVER_KEY) as readers,
            receivers(port, connections) as bare_readers,
        ):
            await everybody_synchronised(gateway, connections)
            for number in range(ROUNDS):
                first = 1 + number * CHANGES_PER_ROUND
                deltas = [delta(n) for n in range(first, first + CHANGES_PER_ROUND)]
                frames = [frame_of(each) for each in deltas]
                count = connections * sum(map(len, frames))
                floor.append(
                    await timed(floor_round(Listener.transports, frames), bare_readers, count)
                )
                ours.append(await timed(gateway_round(gateway, deltas), readers, count))
    report(connections, len(frames[0]), ours, floor)


def report(
    connections: int,
    size: int,
    ours: list[tuple[float, float]],
    floor: list[tuple[float, float]],
) -> None:
    """Print messages per second of both, and their ratio."""
    messages = connections * CHANGES_PER_ROUND
    ours_s, ours_cpu_s = (statistics.median(column) for column in zip(*ours, strict=True))
    floor_s, floor_cpu_s = (statistics.median(column) for column in zip(*floor, strict=True))
    print(f"{connections:,} sockets, frames of {size} bytes, readers in {language()}")
    print(f"gateway:    {messages / ours_s:,.0f} messages/s")
    print(f"bare loop:  {messages / floor_s:,.0f} messages/s")
    print(f"ratio:      {floor_s / ours_s:.2f} by the clock (goal: >= 0.9)")
    print(f"            {floor_cpu_s / ours_cpu_s:.2f} by processor time of the writing process")


def main(connections: int = CONNECTIONS) -> None:
    """Measure on uvloop."""
    uvloop.run(compare(connections))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
