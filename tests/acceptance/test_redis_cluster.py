"""`halyard serve` on a Redis Cluster, one of whose masters is killed."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

import httpx
import pytest

from projections.rulesets import active_key
from server.cli.examining import examine
from server.cli.installations import Installation
from tests.support.cluster import ClusterServers
from tests.support.program import HalyardProcess
from tests.support.witness import Witness

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

TOKEN = "hly_token_of_the_cluster_test"
SHOP = "/api/v1/projects/shop"


@pytest.fixture
def env(database_url: str, cluster: ClusterServers) -> dict[str, str]:
    return {
        "HALYARD_DATABASE_URL": database_url,
        "HALYARD_REDIS_URL": cluster.url,
        "HALYARD_ADMIN_EMAIL": "ann@example.org",
        "HALYARD_ADMIN_PASSWORD": "a password of some length",
        "HALYARD_ADMIN_TOKEN": TOKEN,
        "HALYARD_DRAIN_SECONDS": "0",
    }


async def test_the_whole_program_outlives_a_master_of_its_cluster(
    tmp_path: Path, env: dict[str, str], cluster: ClusterServers
) -> None:
    process = HalyardProcess("serve", log=tmp_path / "server.log", env=env)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with process, httpx.AsyncClient(base_url=process.url, headers=headers, timeout=30) as api:
        for path, body in (
            ("/api/v1/projects", {"key": "shop", "name": "Shop"}),
            (f"{SHOP}/flags", {"key": "banner"}),
            (f"{SHOP}/environments/development/keys", {"kind": "server"}),
        ):
            made = await api.post(path, json=body)
            assert made.status_code == 201, made.text
        key = made.json()["secret"]
        banner = f"{SHOP}/flags/banner/environments/development"
        async with Witness(process.url, key) as witness:
            await witness.reach((await api.post(f"{banner}/enable")).json()["seq"])
            assert witness.client.variation("banner", "ann", False) is True
            pointer = active_key(key.partition("-")[0])
            master = cluster.owner(pointer)
            master.send(signal.SIGKILL)
            disabled = await api.post(f"{banner}/disable")
            assert disabled.status_code == 200, disabled.text
            await witness.reach(disabled.json()["seq"])
            assert witness.client.variation("banner", "ann", True) is False
            assert witness.faults == []
            assert cluster.owner(pointer) is not master


async def test_the_doctor_looks_at_every_master(database_url: str, cluster: ClusterServers) -> None:
    found = Counter(check.name for check in await examine(Installation(database_url, cluster.url)))
    assert found["Redis version"] == found["Redis keeps everything"] == 3
