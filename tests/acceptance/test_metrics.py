"""`/metrics` of real processes: after real traffic, for every role, and as the reference says."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from server.metrics.exposition import KEPT_S
from tests.support.program import HalyardProcess
from tests.support.scraping import Scrape, scraped
from tests.support.witness import Witness

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"
TOKEN = "hly_token_of_the_metrics_test"
METRICS_TOKEN = "only the monitoring has this"
FLAGS = "/api/v1/projects/shop/flags"


@pytest.fixture
def env(database_url: str, redis_url: str) -> dict[str, str]:
    return {
        "HALYARD_DATABASE_URL": database_url,
        "HALYARD_REDIS_URL": redis_url,
        "HALYARD_ADMIN_EMAIL": "ann@example.org",
        "HALYARD_ADMIN_PASSWORD": "a password of some length",
        "HALYARD_ADMIN_TOKEN": TOKEN,
        "HALYARD_METRICS_TOKEN": METRICS_TOKEN,
        "HALYARD_DRAIN_SECONDS": "0",
    }


def row(name: str, scrape: Scrape) -> str:
    """How the reference shows a metric."""
    metric = scrape.metrics[name]
    ending = {"counter": "_total", "info": "_info"}.get(metric.type, "")
    return f"| `{name}{ending}` | {metric.type} | {metric.documentation} |"


async def eventually(
    http: httpx.AsyncClient, holds: Callable[[Scrape], bool], within_s: float = 15
) -> Scrape:
    """A scrape of which something holds; each is of a moment a little later than the last."""
    scrape = await scraped(http, METRICS_TOKEN)
    async with asyncio.timeout(within_s):
        while not holds(scrape):
            await asyncio.sleep(KEPT_S / 4)
            scrape = await scraped(http, METRICS_TOKEN)
    return scrape


async def refused(url: str) -> int | None:
    """With which code a wrong key is closed."""
    headers = {"Authorization": "Bearer nobody"}
    async with connect(f"ws{url.removeprefix('http')}/stream/v1", additional_headers=headers) as ws:
        with pytest.raises(ConnectionClosed):
            await ws.recv()
        return ws.close_code


async def test_a_process_tells_what_it_did(tmp_path: Path, env: dict[str, str]) -> None:
    process = HalyardProcess("serve", log=tmp_path / "log", env=env)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with process, httpx.AsyncClient(base_url=process.url, headers=headers) as http:
        assert (await http.get("/metrics", headers={"authorization": ""})).status_code == 401
        assert (await http.get("/metrics")).status_code == 401  # an account's token is another
        assert (await http.post("/api/v1/projects", json={"key": "shop", "name": "S"})).is_success
        assert (await http.post("/api/v1/projects", json={"key": "shop", "name": "S"})).is_error
        assert (await http.post(FLAGS, json={"key": "banner"})).is_success
        keys = "/api/v1/projects/shop/environments/development/keys"
        key = (await http.post(keys, json={"kind": "server"})).json()["secret"]
        async with Witness(process.url, key) as witness:
            assert await witness.client.wait_ready(20)
            enabled = await http.post(f"{FLAGS}/banner/environments/development/enable")
            await witness.reach(enabled.json()["seq"])
            assert await refused(process.url) == 4401
            scrape = await eventually(http, lambda s: s("halyard_lag_seconds_count") > 0)

    assert scrape("halyard_stream_closes_total", code="4401") == 1
    # The first tries of the SDK may come before the ruleset has its key.
    too_soon = scrape("halyard_stream_closes_total", code="1011")
    assert scrape("halyard_stream_handshakes_total", result="accepted") == 2 + too_soon
    assert scrape("halyard_stream_resumes_total", intent="full") == 1
    assert scrape("halyard_commands_total", result="refused") == 1
    assert scrape("halyard_command_refusals_total", refusal="KeyTaken") == 1
    assert scrape("halyard_http_requests_total", method="POST", route=FLAGS, status="2xx") == 0
    flags = "/api/v1/projects/{project}/flags"
    assert scrape("halyard_http_requests_total", method="POST", route=flags, status="2xx") == 1
    for stage in ("fold", "apply", "hear", "first_write", "last_write"):
        assert scrape("halyard_lag_stage_seconds_count", stage=stage) >= 1, stage
    assert 0 < scrape("halyard_lag_seconds_sum") < 60
    assert scrape("halyard_projector_updates_total", answer="applied") >= 1
    assert scrape("halyard_projector_builds_total", outcome="swapped") == 3
    assert scrape.get("halyard_projector_log_lag_events", log="shop") == 0
    assert scrape("halyard_database_connections_max") == 10
    assert scrape("process_resident_memory_bytes") > 1_000_000
    assert_the_reference_has_just_these(scrape)


def assert_the_reference_has_just_these(scrape: Scrape) -> None:
    told = {row(name, scrape) for name in scrape.metrics}
    written = set(re.findall(r"^\| `(?:halyard|process)_.+ \|$", REFERENCE.read_text(), re.M))
    assert written == told


@pytest.mark.parametrize("role", ["gateway", "projector"])
async def test_each_role_alone_tells_what_it_does(
    tmp_path: Path, env: dict[str, str], role: str
) -> None:
    env.pop("HALYARD_METRICS_TOKEN")
    process = HalyardProcess("serve", "--roles", role, log=tmp_path / "log", env=env)
    async with process, httpx.AsyncClient(base_url=process.url) as http:
        scrape = await scraped(http)
    (build,) = scrape.metrics["halyard_build"].samples
    assert build.labels["roles"] == role
    assert ("halyard_stream_connections" in scrape.metrics) == (role == "gateway")
    assert ("halyard_projector_logs" in scrape.metrics) == (role == "projector")
    named = scrape.metrics.get("halyard_projector_log_lag_events")
    assert named is None or not named.samples
