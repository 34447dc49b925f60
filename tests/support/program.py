"""Halyard itself in a process of its own, to be used, killed and started again."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class HalyardProcess:
    """`halyard` with some arguments, on one port over all its starts.

    Its output goes to ``log``; a process that does not get ready, or does not stop, fails the test
    with the end of it.
    """

    def __init__(
        self, *arguments: str, log: Path, port: int | None = None, env: dict[str, str] | None = None
    ) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._arguments = (*arguments, "--port", str(self.port))
        self._log = log
        self._env = {**os.environ, **(env or {})}
        self._process: asyncio.subprocess.Process | None = None
        self._begun_at = 0
        """Where in the log the present start's output begins."""

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start, and wait until it is ready."""
        with self._log.open("ab") as output:
            self._begun_at = output.tell()
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "server.cli.main", *self._arguments,
                stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, env=self._env,
            )  # fmt: skip
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                await self._ready()
        except TimeoutError:
            raise AssertionError(f"not ready in time:\n{self.output()}") from None

    async def _ready(self) -> None:
        assert self._process is not None
        async with httpx.AsyncClient() as http:
            while self._process.returncode is None:
                try:
                    if (await http.get(f"{self.url}/readyz")).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.02)
        raise AssertionError(f"ended with {self._process.returncode}:\n{self.output()}")

    async def kill(self) -> None:
        """kill -9."""
        await self._end(signal.SIGKILL)

    async def stop(self, by: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end, and return its exit code."""
        return await self._end(by)

    async def _end(self, by: signal.Signals) -> int:
        assert self._process is not None
        process, self._process = self._process, None
        if process.returncode is None:
            process.send_signal(by)
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                return await process.wait()
        except TimeoutError:
            process.kill()
            raise AssertionError(f"did not stop:\n{self.output()}") from None

    def output(self) -> str:
        """What it has printed since it was started last; the end of it, where that is long."""
        return self._log.read_bytes()[self._begun_at :].decode()[-4_000:]

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            await self.stop()
