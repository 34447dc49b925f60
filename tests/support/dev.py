"""`halyard dev` in a process of its own: what it says of itself, and its API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from tests.support.program import HalyardProcess


async def record(process: HalyardProcess, data_dir: Path) -> Any:
    """`dev.json`, once the welcome was printed."""
    async with asyncio.timeout(30):
        while "Ctrl-C stops it" not in process.output():
            await asyncio.sleep(0.02)
    return json.loads((data_dir / "dev.json").read_text())


def api(known: Any) -> httpx.AsyncClient:
    """Asks as the admin whom the record names."""
    token = known["admin"]["token"]
    return httpx.AsyncClient(
        base_url=known["url"], headers={"Authorization": f"Bearer {token}"}, timeout=30
    )


async def caught_up(http: httpx.AsyncClient) -> None:
    """Wait until the projections have reached the log's end."""
    async with asyncio.timeout(10):
        while True:
            standing = (await http.get("/api/v1/projects/demo/projections")).json()
            if all(each["behind"] == 0 for each in standing["items"]):
                return
            await asyncio.sleep(0.02)


class Dev(NamedTuple):
    """One that runs: the process, its record, and its API as the admin has it."""

    process: HalyardProcess
    known: Any
    http: httpx.AsyncClient

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.process.url

    def key(self, kind: str) -> str:
        """The development environment's `server` or `client` key."""
        key: str = self.known["keys"]["development"][kind]
        return key


@asynccontextmanager
async def running_dev(folder: Path) -> AsyncIterator[Dev]:
    """Started with its data and its log in this folder."""
    data_dir = folder / "data"
    process = HalyardProcess("dev", "--data-dir", str(data_dir), log=folder / "dev.log")
    async with process:
        known = await record(process, data_dir)
        async with api(known) as http:
            yield Dev(process, known, http)
