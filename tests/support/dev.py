"""`halyard dev` in a process of its own: what it says of itself, and its API."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

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
