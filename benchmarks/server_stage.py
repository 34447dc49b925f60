"""`halyard serve` with all roles in a process of its own, on durable servers, with one project."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.database_stage import PROJECT, database_stage
from server.embedded.supervisor import EmbeddedServers
from tests.support.program import HalyardProcess

TOKEN = "hly_token_of_the_benchmarks"
API = f"/api/v1/projects/{PROJECT}"


@dataclass(frozen=True)
class Stage:
    """What a benchmark talks to."""

    servers: EmbeddedServers
    process: HalyardProcess
    key: str
    """A server key of the environment development."""

    def api(self) -> httpx.AsyncClient:
        """An HTTP client with the administrator's token."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return httpx.AsyncClient(base_url=self.process.url, headers=headers, timeout=60)


@contextlib.asynccontextmanager
async def server_stage(flags: int, *, cpus: set[int] | None = None) -> AsyncIterator[Stage]:
    """A running server with so many flags, bound to ``cpus`` where given."""
    async with database_stage() as servers, server_on(servers) as process:
        if cpus is not None:
            for thread in (Path("/proc") / str(process.pid) / "task").iterdir():
                os.sched_setaffinity(int(thread.name), cpus)
        yield Stage(servers, process, await _prepare(process.url, flags))


@contextlib.asynccontextmanager
async def server_on(servers: EmbeddedServers) -> AsyncIterator[HalyardProcess]:
    """A running server, with whatever the database holds."""
    with tempfile.TemporaryDirectory() as folder:
        env = {
            "HALYARD_DATABASE_URL": servers.database_url,
            "HALYARD_REDIS_URL": servers.redis_url,
            "HALYARD_ADMIN_EMAIL": "bench@example.org",
            "HALYARD_ADMIN_PASSWORD": "a password of some length",
            "HALYARD_ADMIN_TOKEN": TOKEN,
            "HALYARD_LOG_LEVEL": "warning",
            "HALYARD_DRAIN_SECONDS": "0",
        }
        process = HalyardProcess("serve", log=Path(folder) / "server.log", env=env)
        async with process:
            yield process


async def _prepare(url: str, flags: int) -> str:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as http:
        made = await http.post("/api/v1/projects", json={"key": PROJECT, "name": "Bench"})
        made.raise_for_status()
        for start in range(0, flags, 200):
            commands = [
                {"type": "CreateFlag", "flag": f"flag-{number}"}
                for number in range(start, min(flags, start + 200))
            ]
            made = await http.post(f"{API}/commands:batch", json={"commands": commands})
            made.raise_for_status()
        issued = await http.post(f"{API}/environments/development/keys", json={"kind": "server"})
        issued.raise_for_status()
        return str(issued.json()["secret"])
