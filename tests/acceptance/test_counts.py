"""What SDKs count, through the whole program: kept over a restart, shown by another process."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from halyard_sdk import AsyncClient

from tests.support.program import HalyardProcess

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

TOKEN = "hly_token_of_who_reads_the_counts"
SHOP = "/api/v1/projects/shop"
ANALYTICS = f"{SHOP}/flags/banner/environments/development/analytics"


async def test_what_was_told_last_is_written_before_the_end(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    env = {
        "HALYARD_DATABASE_URL": database_url,
        "HALYARD_REDIS_URL": redis_url,
        "HALYARD_ADMIN_EMAIL": "ann@example.org",
        "HALYARD_ADMIN_PASSWORD": "a password of some length",
        "HALYARD_ADMIN_TOKEN": TOKEN,
        "HALYARD_DRAIN_SECONDS": "0",
        "HALYARD_CONTEXT_SAMPLES": "hashed",
    }
    headers = {"Authorization": f"Bearer {TOKEN}"}
    process = HalyardProcess("serve", log=tmp_path / "serve.log", env=env)
    async with process, httpx.AsyncClient(base_url=process.url, headers=headers) as api:
        assert (await api.post("/api/v1/projects", json={"key": "shop", "name": "Shop"})).is_success
        assert (await api.post(f"{SHOP}/flags", json={"key": "banner"})).is_success
        tracking = f"{SHOP}/flags/banner/environments/development/exposure-tracking"
        seq = (await api.put(tracking, json={"enabled": True})).json()["seq"]
        keys = f"{SHOP}/environments/development/keys"
        key = (await api.post(keys, json={"kind": "server"})).json()["secret"]
        async with asyncio.timeout(30):
            while not (await api.get("/sdk/v1/ruleset", headers={"X-API-Key": key})).is_success:
                await asyncio.sleep(0.02)
        async with AsyncClient(process.url, key) as sdk:
            assert await sdk.wait_ready(30)
            for n in range(7):
                sdk.variation("banner", {"key": f"alice-{n % 2}", "plan": "free"}, False)
            sdk.track("looked", "alice", 2.5)
        assert await process.stop() == 0
        await process.start()
        shown = (await api.get(ANALYTICS)).json()
        assert shown["total"] == 7
        assert shown["versions"] == [{"version": seq, "count": 7}]
        assert shown["reasons"] == [{"reason": "DISABLED", "count": 7}]
        tracked = (await api.get(f"{SHOP}/environments/development/analytics")).json()
        assert [(each["name"], each["sum"]) for each in tracked["events"]] == [("looked", 2.5)]
        assert (tracked["droppedEvents"], tracked["droppedExposures"]) == ([], [])
        (kind,) = (await api.get(f"{SHOP}/environments/development/contexts")).json()["kinds"]
        values = {each["name"]: each["values"][0]["value"] for each in kind["attributes"]}
        assert values["plan"] == "free"
        assert "alice" not in values["key"]
