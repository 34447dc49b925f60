"""The crowd: one process in C that is as many SDKs as a scenario wants, and obeys its orders."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

SOURCES = Path(__file__).with_name("loadgen")
POLL_S = 0.05
SPARE_DESCRIPTORS = 500
"""For the server beside its connections."""


class CannotCompile(Exception):
    """There is no compiler here, or no zlib to link with."""


class TooFewDescriptors(Exception):
    """This machine's limit does not allow a process so many connections."""


def compiled(folder: Path) -> Path:
    """The program, compiled into a folder. Raises :class:`CannotCompile`."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise CannotCompile("the load generator is in C: install a compiler (gcc or clang) as `cc`")
    program = folder / "loadgen"
    sources = [str(path) for path in sorted(SOURCES.glob("*.c"))]
    command = [compiler, "-std=c11", "-D_GNU_SOURCE", "-O2", "-o", str(program), *sources]
    done = subprocess.run([*command, "-lz", "-lm"], check=False, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise CannotCompile(f"{done.stderr}\nIs zlib.h there? (Debian: zlib1g-dev)")
    return program


class Crowd:
    """Clients with the numbers 0, 1, 2 and so on, in the order in which they were added."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.size = 0

    @property
    def pid(self) -> int:
        """Of the process that all of them live in."""
        return self._process.pid

    async def order(self, line: str) -> Any:
        """One order, and the answer to it; ``loadgen/orders.c`` lists them."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line.encode() + b"\n")
        answer = await self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the load generator ended at {line!r}; see what it said above")
        return msgspec.json.decode(answer)

    async def add(
        self,
        count: int,
        key: str,
        *,
        over_s: float = 0,
        deflate: bool = False,
        context: str = "",
        receive_buffer: int = 0,
    ) -> None:
        """Add clients that dial within ``over_s``: 0 is all at once.

        A ``context`` makes them browsers; its first ``#`` is the number of the client. Raises
        :class:`TooFewDescriptors`.
        """
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if most < self.size + count + SPARE_DESCRIPTORS:
            raise TooFewDescriptors(
                f"{self.size + count:,} connections, but a process may open {most:,} files here: "
                "raise the hard limit (`ulimit -Hn`), or take fewer with --connections"
            )
        for line in (
            f"key {key}",
            f"context {context}",
            f"deflate {int(deflate)}",
            f"buffer {receive_buffer}",
            f"connect {count} {over_s * 1e3:.0f}",
        ):
            await self.order(line)
        self.size += count

    async def status(self) -> Any:
        """What they have, and what was counted since the last mark."""
        return await self.order("status")

    async def mark(self) -> None:
        """Count anew."""
        await self.order("mark")

    async def synchronised(self, within_s: float, count: int | None = None) -> Any:
        """Wait until so many (all) lack nothing. The last status, whether they do or not."""
        wanted, until = self.size if count is None else count, time.monotonic() + within_s
        while True:
            status = await self.status()
            if status["synchronised"] >= wanted or time.monotonic() > until:
                return status
            await asyncio.sleep(POLL_S)

    async def at(self, seq: int, within_s: float) -> Any:
        """Wait until everybody has at least ``seq``. The last status, whether they do or not."""
        until = time.monotonic() + within_s
        while True:
            status = await self.status()
            if status["lowest_seq"] >= seq or time.monotonic() > until:
                return status
            await asyncio.sleep(POLL_S)

    async def latencies(
        self, accepted: Sequence[tuple[int, float]], first: int = 0, count: int | None = None
    ) -> Any:
        """From accepted (seq, monotonic instant) to arrived, of a range of clients."""
        for seq, at_s in accepted:
            await self.order(f"accepted {seq} {at_s:.6f}")
        return await self.order(f"latencies {first} {self.size if count is None else count}")


@contextlib.asynccontextmanager
async def crowd(port: int, program: Path | None = None) -> AsyncIterator[Crowd]:
    """A crowd, still empty, before a port of this machine. ``program`` saves compiling it."""
    with tempfile.TemporaryDirectory() as folder:
        program = program or await asyncio.to_thread(compiled, Path(folder))
        process = await asyncio.create_subprocess_exec(
            str(program), str(port), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            yield Crowd(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
