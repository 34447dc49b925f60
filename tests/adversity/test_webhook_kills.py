"""A process that is killed while it delivers: another goes on; nothing is lost or out of order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from domain.system.commands import ChangeSettings
from eventstore.log import SYSTEM_LOG
from server.writing.submission import Submission
from tests.support.api import running_dependencies
from tests.support.program import HalyardProcess
from tests.support.receiver import SILENCE, Receiver

pytestmark = [pytest.mark.adversity, pytest.mark.timeout(120)]

TOKEN = "hly_token_of_the_webhook_test"
API = "/api/v1/projects/shop"


@pytest.fixture
def env(database_url: str, redis_url: str) -> dict[str, str]:
    return {
        "HALYARD_DATABASE_URL": database_url,
        "HALYARD_REDIS_URL": redis_url,
        "HALYARD_ADMIN_EMAIL": "ann@example.org",
        "HALYARD_ADMIN_PASSWORD": "a password of some length",
        "HALYARD_ADMIN_TOKEN": TOKEN,
        "HALYARD_DRAIN_SECONDS": "0",
        "HALYARD_LOG_LEVEL": "debug",
        "HALYARD_WEBHOOK_NETWORKS": "127.0.0.0/8",
    }


async def test_another_process_sends_again_what_was_not_noted_and_then_the_rest(
    tmp_path: Path, env: dict[str, str], database_url: str
) -> None:
    killed = HalyardProcess("serve", log=tmp_path / "killed.log", env=env)
    other = HalyardProcess("serve", log=tmp_path / "other.log", env=env)
    async with Receiver(SILENCE) as receiver:
        await killed.start()
        await allow_loopback(database_url)
        async with client(killed) as http:
            await made(http, "/api/v1/projects", {"key": "shop"})
            headers = {"Authorization": "Bearer s3cret"}
            hook = {"url": receiver.url, "headers": headers, "filter": {"kinds": ["flag"]}}
            secret = (await made(http, f"{API}/webhooks", hook))["secret"]
            answers = [await made(http, f"{API}/flags", {"key": key}) for key in ("a", "b", "c")]
            seqs = [answer["seq"] for answer in answers]
        await receiver.until(1)
        before = killed.output()
        await killed.kill()
        await end_leases(database_url)
        async with other:
            await receiver.until(4)
            after = other.output()
    first, again, *rest = receiver.received
    assert (first.delivery, first.body) == (again.delivery, again.body)
    assert [sent.seqs for sent in (again, *rest)] == [[seq] for seq in seqs]
    assert all(sent.is_signed_with(secret) for sent in receiver.received)
    for output in (before, after):
        for hidden in ("tell-nobody", "s3cret", secret):
            assert hidden not in output


def client(process: HalyardProcess) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return httpx.AsyncClient(base_url=process.url, headers=headers, timeout=30)


async def made(http: httpx.AsyncClient, path: str, body: object) -> dict[str, Any]:
    answer = await http.post(path, json=body)
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


async def allow_loopback(database_url: str) -> None:
    command = ChangeSettings(webhook_networks=("127.0.0.0/8",))
    async with running_dependencies(database_url) as dependencies:
        await dependencies.writers.submit(SYSTEM_LOG, Submission.of("setup", command))


async def end_leases(database_url: str) -> None:
    """As when the time of the lease is over."""
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE webhook_cursor SET leased_until = now()")
    await connection.close()
