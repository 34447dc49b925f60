"""What a process and the kernel need meanwhile: memory, buffers of sockets, processor time."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

PERIOD_S = 0.2
PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1024 * 1024


def resident_bytes(pid: int) -> int:
    """Of a process, now."""
    return int((Path("/proc") / str(pid) / "statm").read_text().split()[1]) * PAGE


def processor_s(pid: int) -> float:
    """The processor's time that a process has used."""
    fields = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def kernel_bytes() -> int:
    """Buffers of all TCP sockets of this machine, both ends of each connection included."""
    for line in Path("/proc/net/sockstat").read_text().splitlines():
        if line.startswith("TCP:"):
            return int(line.split()[-1]) * PAGE
    return 0


class Peaks:
    """The most that was seen so far."""

    def __init__(self) -> None:
        self.resident = 0
        self.kernel = 0

    def look(self, pid: int | None) -> None:
        """See how much it is now; a process that is away, between two starts, has nothing."""
        self.kernel = max(self.kernel, kernel_bytes())
        if pid is not None:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                self.resident = max(self.resident, resident_bytes(pid))


@contextlib.asynccontextmanager
async def watched(pid: Callable[[], int | None]) -> AsyncIterator[Peaks]:
    """Look a few times per second, while the block runs."""
    peaks = Peaks()

    async def look() -> None:
        while True:
            peaks.look(pid())
            await asyncio.sleep(PERIOD_S)

    looking = asyncio.create_task(look())
    try:
        yield peaks
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
