"""The floor: a process of its own that knows nothing, and writes one frame to each transport.

``python -m benchmarks.stream.bare_loop`` prints its port, and for each line ``FIRST COUNT`` of its
input writes so many changes' frames to all that are connected; then prints when it began (monotonic
clock) and what processor time it took. In a process of its own because two times ten thousand
descriptors are more than one process may have.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator

import msgspec
import uvloop

from benchmarks.fan_out import Listener, delta, floor_round, frame_of


async def serve() -> None:
    """Listen and obey until the input ends."""
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(Listener, "127.0.0.1", 0, backlog=2048)
    print(listener.sockets[0].getsockname()[1], flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        first, count = map(int, line.split())
        frames = [frame_of(delta(number)) for number in range(first, first + count)]
        began_s, worked_s = time.perf_counter(), time.process_time()
        await floor_round(Listener.transports, frames)
        worked_s = time.process_time() - worked_s
        print(msgspec.json.encode([began_s, worked_s]).decode(), flush=True)


class BareLoop:
    """The process, from outside."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self.port = port

    async def round(self, first: int, count: int) -> tuple[float, float]:
        """Write the frames of so many changes; when it began, and the processor time."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"%d %d\n" % (first, count))
        began_s, worked_s = msgspec.json.decode(await self._process.stdout.readline())
        return began_s, worked_s


@contextlib.asynccontextmanager
async def bare_loop() -> AsyncIterator[BareLoop]:
    """The floor, running."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.stream.bare_loop",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield BareLoop(process, int(await process.stdout.readline()))
    finally:
        assert process.stdin is not None
        process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


if __name__ == "__main__":
    uvloop.run(serve())
