"""`halyard serve` in processes of its own, on durable servers, with the project of 5 MB."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.database_stage import database_stage
from benchmarks.server_stage import TOKEN
from benchmarks.stream.project import FLAGS, api, create, issued_key
from server.embedded.supervisor import EmbeddedServers
from tests.support.program import HalyardProcess

DRAIN_S = 5.0
POLL_S = 0.01
SETTLED_S = 1.0


class Server(HalyardProcess):
    """A process that counts as started when it says that it listens.

    Not when it answers: several share a port, and ten thousand may be in the line before us.
    """

    listening_s = 0.0
    """When that was, on the monotonic clock."""
    running_pid: int | None = None
    """None while it is away."""

    async def _ready(self) -> None:
        while "listening" not in self.output():
            if self._process is not None and self._process.returncode is not None:
                raise AssertionError(f"ended with {self._process.returncode}:\n{self.output()}")
            await asyncio.sleep(POLL_S)
        self.listening_s = time.monotonic()
        self.running_pid = self.pid

    async def answers(self) -> None:
        """Wait until it is ready for work."""
        async with httpx.AsyncClient(timeout=5) as http, asyncio.timeout(60):
            while (await http.get(f"{self.url}/readyz")).status_code != 200:
                await asyncio.sleep(0.1)


@dataclass(frozen=True)
class Stage:
    """What a scenario talks to."""

    servers: EmbeddedServers
    server: Server
    """Writes, and where nothing else was asked for it streams, too."""
    key: str
    """A server key of the environment development."""
    folder: Path

    def api(self) -> httpx.AsyncClient:
        """An HTTP client with the administrator's token."""
        return api(self.server.url)

    def process(
        self, name: str, *arguments: str, port: int | None = None, drain_s: float = DRAIN_S
    ) -> Server:
        """Another process on the same servers, not started yet."""
        log = self.folder / f"{name}.log"
        return _process(self.servers, log, *arguments, port=port, drain_s=drain_s)


def _process(
    servers: EmbeddedServers,
    log: Path,
    *arguments: str,
    port: int | None = None,
    drain_s: float = DRAIN_S,
) -> Server:
    env = {
        "HALYARD_DATABASE_URL": servers.database_url,
        "HALYARD_REDIS_URL": servers.redis_url,
        "HALYARD_ADMIN_EMAIL": "bench@example.org",
        "HALYARD_ADMIN_PASSWORD": "a password of some length",
        "HALYARD_ADMIN_TOKEN": TOKEN,
        "HALYARD_DRAIN_SECONDS": str(drain_s),
    }
    return Server("serve", *arguments, log=log, port=port, env=env)


@contextlib.asynccontextmanager
async def stream_stage(flags: int = FLAGS, *, roles: str = "") -> AsyncIterator[Stage]:
    """A running server with so many flags; ``roles`` of it, or all.

    Where something fails inside, the end of the server's log is printed.
    """
    async with database_stage() as servers:
        with tempfile.TemporaryDirectory() as folder:
            arguments = ("--roles", roles) if roles else ()
            server = _process(servers, Path(folder) / "server.log", *arguments)
            try:
                async with server:
                    await server.answers()
                    await create(server.url, flags)
                    async with api(server.url) as http:
                        key = await issued_key(http, "server")
                    await asyncio.sleep(SETTLED_S)
                    yield Stage(servers, server, key, Path(folder))
            except BaseException:
                print(f"--- the end of the server's log\n{server.output()[-2_000:]}")
                raise
