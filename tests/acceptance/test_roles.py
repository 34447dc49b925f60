"""`halyard serve`: each role alone, on servers that are somebody else's."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from tests.support.program import HalyardProcess
from tests.support.witness import Witness

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

TOKEN = "hly_token_of_the_roles_test"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def env(database_url: str, redis_url: str) -> dict[str, str]:
    return {
        "HALYARD_DATABASE_URL": database_url,
        "HALYARD_REDIS_URL": redis_url,
        "HALYARD_ADMIN_EMAIL": "ann@example.org",
        "HALYARD_ADMIN_PASSWORD": "a password of some length",
        "HALYARD_ADMIN_TOKEN": TOKEN,
        "HALYARD_DRAIN_SECONDS": "0",
    }


async def test_each_role_in_a_process_of_its_own_makes_the_whole_line(
    tmp_path: Path, env: dict[str, str]
) -> None:
    async with AsyncExitStack() as stack:
        started = [
            HalyardProcess("serve", "--roles", role, log=tmp_path / f"{role}.log", env=env)
            for role in ("api", "projector", "gateway")
        ]
        await asyncio.gather(*(stack.enter_async_context(process) for process in started))
        api, _, gateway = started
        async with httpx.AsyncClient(base_url=api.url, headers=HEADERS, timeout=30) as http:
            made = await http.post("/api/v1/projects", json={"key": "shop", "name": "Shop"})
            assert made.status_code == 201, made.text
            await http.post("/api/v1/projects/shop/flags", json={"key": "banner"})
            keys = "/api/v1/projects/shop/environments/development/keys"
            key = (await http.post(keys, json={"kind": "server"})).json()["secret"]
            witness = await stack.enter_async_context(Witness(gateway.url, key))
            enabled = await http.post(
                "/api/v1/projects/shop/flags/banner/environments/development/enable"
            )
            await witness.reach(enabled.json()["seq"])
            assert witness.client.variation("banner", "ann", False) is True
            by_key = {"Authorization": f"Bearer {key}"}
            for process in (api, gateway):
                ruleset = await http.get(f"{process.url}/sdk/v1/ruleset", headers=by_key)
                assert [flag["enabled"] for flag in ruleset.json()["flags"]] == [True]
                asked = f"{process.url}/api/v1/evaluate/banner?user=ann"
                assert (await http.get(asked, headers=by_key)).json()["value"] is True


async def test_a_process_without_the_api_serves_health_and_what_keys_open(
    tmp_path: Path, env: dict[str, str]
) -> None:
    process = HalyardProcess("serve", "--roles", "gateway", log=tmp_path / "log", env=env)
    async with process, httpx.AsyncClient(base_url=process.url, headers=HEADERS) as http:
        assert (await http.get("/healthz")).status_code == 200
        assert (await http.get("/api/v1/projects")).status_code == 404
        assert (await http.get("/sdk/v1/ruleset")).status_code == 401


async def test_settings_that_cannot_be_used_are_all_named_at_once(tmp_path: Path) -> None:
    env = {"HALYARD_PORT": "http", "HALYARD_DATABASE_URL": "mysql://x", "HALYARD_REDISURL": "x"}
    process = HalyardProcess("serve", log=tmp_path / "log", env=env)
    with pytest.raises(AssertionError, match="ended with 2"):
        await process.start()
    output = process.output()
    assert "HALYARD_DATABASE_URL" in output
    assert "HALYARD_REDISURL" in output
    assert "HALYARD_REDIS_URL is required" in output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--log-level", "loud"), "HALYARD_LOG_LEVEL 'loud' cannot be used"),
        (("--host", "300.1.1.1"), "cannot listen on 300.1.1.1"),
    ],
)
async def test_what_dev_cannot_use_is_told_in_one_line(
    tmp_path: Path, arguments: tuple[str, str], said: str
) -> None:
    process = HalyardProcess(
        "dev", "--data-dir", str(tmp_path / "data"), *arguments, log=tmp_path / "log"
    )
    with pytest.raises(AssertionError, match="ended with 2"):
        await process.start()
    assert said in process.output()
    assert "Traceback" not in process.output()
