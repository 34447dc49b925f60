"""A server that is killed again and again under a stream of commands, and Redis emptied as well.

Every acknowledged command is in the log exactly once, the chain verifies, every SDK converges to
the fold of the log, and none ever goes backwards. ``TEST_KILLS`` sets how often it is killed.
"""

from __future__ import annotations

import asyncio
import os
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import redis.asyncio

from domain.state import ProjectState
from eventstore.chain import verify
from eventstore.pool import create_pool
from eventstore.store import EventStore
from server.writing.deciders import PROJECT
from server.writing.history import LogHistory
from tests.support.program import HalyardProcess
from tests.support.witness import Witness

KILLS = int(os.environ.get("TEST_KILLS", "8"))

pytestmark = [pytest.mark.adversity, pytest.mark.long, pytest.mark.timeout(120 + 20 * KILLS)]

CALLERS = 8
SDKS = 3
TOKEN = "hly_token_of_the_kill_test"
API = "/api/v1/projects/shop"


@dataclass
class Caller:
    """One of several that each toggle a flag of their own, and never give up on a command."""

    number: int
    url: str
    acknowledged: dict[str, int] = field(default_factory=dict)
    """The seq of each command's event, by idempotency key."""
    refused: list[str] = field(default_factory=list)

    @property
    def flag(self) -> str:
        return f"flag-{self.number}"

    async def work(self, progress: asyncio.Queue[None], done: asyncio.Event) -> None:
        async with httpx.AsyncClient(base_url=self.url, headers=headers(), timeout=10) as http:
            while not done.is_set():
                key = f"{self.flag}-{len(self.acknowledged)}"
                what = "disable" if len(self.acknowledged) % 2 else "enable"
                path = f"{API}/flags/{self.flag}/environments/development/{what}"
                answer = await self.insist(http, path, key)
                self.acknowledged[key] = answer["events"][0]["seq"]
                progress.put_nowait(None)

    async def insist(self, http: httpx.AsyncClient, path: str, key: str) -> Any:
        """Send one command under one key until it is answered."""
        while True:
            try:
                answer = await http.post(path, headers={"Idempotency-Key": key})
            except httpx.TransportError:
                await asyncio.sleep(0.02)  # the server is being restarted; nothing tells us when
                continue
            if answer.status_code == 200:
                return answer.json()
            assert answer.status_code == 503, answer.text
            await asyncio.sleep(0.02)


def headers() -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def server(tmp_path: Path, database_url: str, redis_url: str) -> HalyardProcess:
    env = {
        "HALYARD_DATABASE_URL": database_url,
        "HALYARD_REDIS_URL": redis_url,
        "HALYARD_ADMIN_EMAIL": "ann@example.org",
        "HALYARD_ADMIN_PASSWORD": "a password of some length",
        "HALYARD_ADMIN_TOKEN": TOKEN,
        "HALYARD_DRAIN_SECONDS": "0",
    }
    return HalyardProcess("serve", log=tmp_path / "server.log", env=env)


async def prepare(server: HalyardProcess) -> str:
    """A project with a flag for each caller; returns a server key."""
    async with httpx.AsyncClient(base_url=server.url, headers=headers(), timeout=30) as http:
        made = await http.post("/api/v1/projects", json={"key": "shop", "name": "Shop"})
        assert made.status_code == 201, made.text
        for number in range(CALLERS):
            made = await http.post(f"{API}/flags", json={"key": f"flag-{number}"})
            assert made.status_code == 201, made.text
        issued = await http.post(f"{API}/environments/development/keys", json={"kind": "server"})
        assert issued.status_code == 201, issued.text
        return str(issued.json()["secret"])


async def disturb(
    server: HalyardProcess, client: redis.asyncio.Redis, progress: asyncio.Queue[None]
) -> None:
    """Kill the server, or empty Redis, each time after some more commands were acknowledged."""
    chance = random.Random()
    for _ in range(KILLS):
        for _ in range(chance.randint(5, 60)):
            await progress.get()
        await server.kill()
        await server.start()
        for _ in range(chance.randint(5, 60)):
            await progress.get()
        await client.flushall()


async def test_kills_and_flushes_lose_nothing_and_repeat_nothing(
    server: HalyardProcess, database_url: str, redis_client: redis.asyncio.Redis
) -> None:
    async with server:
        key = await prepare(server)
        callers = [Caller(number, server.url) for number in range(CALLERS)]
        witnesses = [Witness(server.url, key) for _ in range(SDKS)]
        progress: asyncio.Queue[None] = asyncio.Queue()
        done = asyncio.Event()
        for witness in witnesses:
            await witness.client.start()
        async with asyncio.TaskGroup() as tasks:
            for caller in callers:
                tasks.create_task(caller.work(progress, done))
            await disturb(server, redis_client, progress)
            done.set()
        async with create_pool(database_url) as pool:
            store = EventStore(pool)
            head = await store.head("shop")
            for witness in witnesses:
                await witness.reach(head.last_seq)
            await check_log(pool, store, callers)
            await check_witnesses(store, witnesses, head.last_seq)
        for witness in witnesses:
            await witness.client.close()


async def check_log(pool: asyncpg.Pool, store: EventStore, callers: list[Caller]) -> None:
    acknowledged = {seq: caller.flag for caller in callers for seq in caller.acknowledged.values()}
    rows = await pool.fetch(
        "select seq, entity_key from event where log_id = 'shop' "
        "and type in ('FlagEnabled', 'FlagDisabled')"
    )
    assert {row["seq"]: row["entity_key"] for row in rows} == acknowledged
    assert len(acknowledged) == sum(len(caller.acknowledged) for caller in callers)
    report = await verify(store, "shop")
    assert report.problems == ()


async def check_witnesses(store: EventStore, witnesses: list[Witness], head: int) -> None:
    history = LogHistory(store, PROJECT)
    for witness in witnesses:
        assert witness.faults == []
        replica = witness.replica
        assert replica is not None
        assert replica.seq == head
        samples = random.sample(sorted(witness.seen), min(20, len(witness.seen)))
        for epoch, seq in samples:
            folded = await history.load("shop", upto=seq)
            assert witness.seen[epoch, seq] == enabled(folded.state), (epoch, seq)
        folded = await history.load("shop")
        assert witness.seen[max(witness.seen, key=lambda at: at[1])] == enabled(folded.state)


def enabled(state: ProjectState) -> dict[str, bool]:
    """Which flags are on in development."""
    return {
        flag: settings.enabled
        for (flag, environment), settings in state.settings.items()
        if environment == "development"
    }
