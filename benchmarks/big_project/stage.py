"""A server on the big project, and how long it takes to answer."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

import httpx

from benchmarks.big_project.filling import EVENTS, FLAGS, SEGMENTS, fill
from benchmarks.database_stage import database_stage
from benchmarks.server_stage import Stage, server_on
from eventstore.pool import create_pool
from eventstore.store import EventStore


@contextlib.asynccontextmanager
async def big_stage(
    events: int = EVENTS, flags: int = FLAGS, segments: int = SEGMENTS
) -> AsyncIterator[Stage]:
    """A running server, asked once, with the project; its log is analysed as autovacuum would."""
    async with database_stage() as servers:
        async with create_pool(servers.database_url) as pool:
            began_s = time.perf_counter()
            await fill(EventStore(pool), events=events, flags=flags, segments=segments)
            await pool.execute("VACUUM ANALYZE")
            took_s, busy_s = time.perf_counter() - began_s, time.process_time()
            print(
                f"{events:,} events of {flags:,} flags written in {took_s:.0f} s, "
                f"of which this process worked {busy_s:.0f} s",
                flush=True,
            )
        async with server_on(servers) as process:
            yield Stage(servers, process, "")


@dataclass(frozen=True)
class Asked:
    """How long a number of requests took, one after the other, in milliseconds."""

    p50: float
    p99: float
    worst: float
    bytes: int
    """Of the largest answer."""

    def __str__(self) -> str:
        return (
            f"p50 {self.p50:7.1f} ms  p99 {self.p99:7.1f} ms  worst {self.worst:7.1f} ms"
            f"  {self.bytes:>9,} bytes"
        )


async def ask(http: httpx.AsyncClient, paths: Iterable[str]) -> Asked:
    """Get each of the paths in turn; an answer other than 200 ends the benchmark."""
    took_ms: list[float] = []
    largest = 0
    for path in paths:
        began_s = time.perf_counter()
        answer = await http.get(path)
        took_ms.append((time.perf_counter() - began_s) * 1000)
        if answer.status_code != 200:
            raise RuntimeError(f"GET {path}: {answer.status_code} {answer.text[:500]}")
        largest = max(largest, len(answer.content))
    took_ms.sort()
    most = (len(took_ms) * 99 + 99) // 100
    return Asked(took_ms[len(took_ms) // 2], took_ms[most - 1], took_ms[-1], largest)
