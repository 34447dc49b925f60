"""Some real SDKs in a process of their own: they decode, evaluate, and note what they are told.

``python -m benchmarks.stream.sdks URL KEY COUNT`` prints a line ``ready`` with the instants at
which each had its ruleset, and then, for each line of its input, what there is to report: what
each answers for one context, its status, and when it was told of which flags. Instants are of the
monotonic clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import math
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import uvloop
from halyard_sdk import AsyncClient
from halyard_sdk.listeners import Change

from benchmarks.stream.project import Change as ChangeMade

CONTEXT = {"key": "user-7", "country": "DE", "plan": "pro", "age": 42, "tenant": "amber-1"}
READY_S = 120.0


def digest(values: dict[str, Any]) -> str:
    """Of the values of all flags."""
    return hashlib.sha256(msgspec.json.encode(dict(sorted(values.items())))).hexdigest()[:16]


@dataclass
class Watched:
    """One SDK, and what it was told."""

    client: AsyncClient
    told: list[tuple[float, list[str]]] = field(default_factory=list)

    def on_change(self, change: Change) -> None:
        """Told that flags may answer otherwise."""
        self.told.append((time.monotonic(), sorted(change.flags)))

    async def ready(self) -> float:
        """When it had its ruleset; 0 where that took too long."""
        if not await self.client.wait_ready(READY_S):
            return 0.0
        self.client.on_change(self.on_change)
        return time.monotonic()

    def report(self) -> dict[str, Any]:
        """What it answers and what it was told since the last report."""
        values = self.client.all_flags(CONTEXT)
        told, self.told = self.told, []
        return {
            "flags": len(values),
            "digest": digest(values),
            "state": str(self.client.status.state),
            "told": told,
        }


async def watch(url: str, key: str, count: int) -> None:
    """Connect all at once, then report until the input ends."""
    loop = asyncio.get_running_loop()
    sdks = [Watched(AsyncClient(url, key)) for _ in range(count)]
    ready = await asyncio.gather(*(sdk.ready() for sdk in sdks))
    print(msgspec.json.encode(ready).decode(), flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(msgspec.json.encode([sdk.report() for sdk in sdks]).decode(), flush=True)
    await asyncio.gather(*(sdk.client.close() for sdk in sdks))


def reached_s(told: list[Any], change: ChangeMade) -> float:
    """How long after a change was accepted an SDK was told of its flag; infinite: never."""
    for at_s, flags in told:
        if at_s >= change.ordered_s and change.flag in flags:
            return max(0.0, float(at_s) - change.accepted_s)
    return math.inf


class Sdks:
    """The process, from outside."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ready(self) -> list[float]:
        """When each had its ruleset."""
        return list(await self._read())

    async def report(self) -> list[dict[str, Any]]:
        """What each answers, and was told since the last report."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        return list(await self._read())

    async def _read(self) -> Any:
        assert self._process.stdout is not None
        return msgspec.json.decode(await self._process.stdout.readline())


@contextlib.asynccontextmanager
async def real_sdks(url: str, key: str, count: int) -> AsyncIterator[Sdks]:
    """So many SDKs that are connecting."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.stream.sdks", url, key, str(count),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 26,
    )  # fmt: skip
    try:
        yield Sdks(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                await process.wait()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


if __name__ == "__main__":
    logging.getLogger("halyard_sdk").setLevel(logging.ERROR)  # what befalls them is reported
    uvloop.run(watch(sys.argv[1], sys.argv[2], int(sys.argv[3])))
