"""How much memory one idle connection costs the server's process.

Resident memory before and after, divided by the number of connections; beside it, in the same run,
as many bare uvloop transports with a protocol that does nothing (the floor).

Linux only. Does not measure the kernel's buffers, TLS, or what a connection needs while behind.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import uvloop

from benchmarks.gateway_stage import everybody_synchronised, gateway_stage
from benchmarks.receivers import receivers
from tests.streaming.writing import SERVER_KEY

CONNECTIONS = 4_000


def resident_bytes() -> int:
    """Of this process, after everything that could be collected was."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def bare_transports(connections: int) -> float:
    """Bytes per connection of transports that nobody uses."""
    listener = await asyncio.get_running_loop().create_server(
        asyncio.Protocol, "127.0.0.1", 0, backlog=2048
    )
    before = resident_bytes()
    async with receivers(listener.sockets[0].getsockname()[1], connections):
        await asyncio.sleep(1)
        return (resident_bytes() - before) / connections


async def gateway_connections(connections: int) -> float:
    """Bytes per connection that has said hello and has its snapshot."""
    async with gateway_stage(flags=100) as (gateway, _, port):
        async with receivers(port, 50, SERVER_KEY):  # what is allocated once
            await everybody_synchronised(gateway, 50)
        await asyncio.sleep(0.5)
        before = resident_bytes()
        async with receivers(port, connections, SERVER_KEY):
            await everybody_synchronised(gateway, connections + 50)
            return (resident_bytes() - before) / connections


def _measure(what: Callable[[int], Coroutine[None, None, float]], connections: int) -> float:
    return uvloop.run(what(connections))


def bytes_per_connection(connections: int) -> tuple[float, float]:
    """Of the gateway and of the floor, each measured in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        ours = pool.submit(_measure, gateway_connections, connections).result()
        return ours, pool.submit(_measure, bare_transports, connections).result()


def main(connections: int = CONNECTIONS) -> None:
    """Measure, and print one line each."""
    ours, floor = bytes_per_connection(connections)
    print(f"{connections:,} idle connections: {ours / 1024:.1f} KB each (goal: <= 12 KB)")
    print(f"bare uvloop transports, same run: {floor / 1024:.1f} KB each")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
