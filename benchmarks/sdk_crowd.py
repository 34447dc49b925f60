"""Many real SDKs in one process: prints, for each change, when each of them called back.

``python -m benchmarks.sdk_crowd URL KEY COUNT`` prints ``ready``, then per change one JSON array of
instants of the monotonic clock, once all have called.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import uvloop
from halyard_sdk import AsyncClient
from halyard_sdk.listeners import Change


async def watch(url: str, key: str, count: int) -> None:
    """Connect all, then report until terminated."""
    called: list[float] = []

    def call_back(_: Change) -> None:
        called.append(time.perf_counter())
        if len(called) == count:
            print(json.dumps(called), flush=True)
            called.clear()

    clients = [AsyncClient(url, key) for _ in range(count)]
    for start in range(0, count, 50):
        group = clients[start : start + 50]
        ready = await asyncio.gather(*(client.wait_ready(60) for client in group))
        assert all(ready)
    for client in clients:
        client.on_change(call_back)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(watch(sys.argv[1], sys.argv[2], int(sys.argv[3])))
