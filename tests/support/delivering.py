"""A process that delivers webhooks, on a real database, with its API beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import asyncpg
import httpx

from domain.system.commands import ChangeSettings
from eventstore.log import SYSTEM_LOG
from eventstore.pool import create_pool
from eventstore.store import EventStore
from eventstore.webhooks import Webhooks
from server.http.dependencies import Dependencies
from server.webhooks.attempts import Attempts
from server.webhooks.counters import WebhookCounters
from server.webhooks.courier import Means
from server.webhooks.dispatch import Dispatch
from server.webhooks.posting import Poster
from server.writing.submission import Submission
from tests.support.api import client_of, running_dependencies

LOOPBACK = "127.0.0.0/8"


@dataclass
class Delivering:
    dependencies: Dependencies
    dispatch: Dispatch
    means: Means
    api: httpx.AsyncClient
    pool: asyncpg.Pool
    _tasks: asyncio.TaskGroup
    _run: asyncio.Task[None] | None = None

    @property
    def counters(self) -> WebhookCounters:
        return self.means.counters

    @property
    def table(self) -> Webhooks:
        return self.means.attempts.table

    def start(self) -> None:
        self._run = self._tasks.create_task(self.dispatch.run())

    async def stop(self) -> None:
        """As a process ends that is asked to."""
        assert self._run is not None
        self._run.cancel()
        await asyncio.gather(self._run, return_exceptions=True)
        self._run = None

    async def allow(self, *networks: str) -> None:
        command = ChangeSettings(webhook_networks=networks)
        await self.dependencies.writers.submit(SYSTEM_LOG, Submission.of("setup", command))

    async def hook(self, url: str, **more: Any) -> tuple[str, str]:
        """The id and the secret of a new webhook of the project demo."""
        answer = await self.api.post("/api/v1/projects/demo/webhooks", json={"url": url, **more})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"], answer.json()["secret"]

    async def project(self) -> None:
        answer = await self.api.post("/api/v1/projects", json={"key": "demo"})
        assert answer.status_code == 201, answer.text

    async def flag(self, key: str) -> int:
        """Create a flag; the seq of its event."""
        answer = await self.api.post("/api/v1/projects/demo/flags", json={"key": key})
        assert answer.status_code == 201, answer.text
        seq: int = answer.json()["seq"]
        return seq

    async def until_delivered(self, hook_id: str, seq: int, timeout_s: float = 30.0) -> None:
        """Wait until its cursor has come so far."""
        async with asyncio.timeout(timeout_s):
            while True:
                position = await self.table.position("demo", hook_id)
                if position is not None and position.seq >= seq:
                    return
                await asyncio.sleep(0.01)


@asynccontextmanager
async def delivering(
    database_url: str,
    *,
    bound: tuple[str, ...] = (LOOPBACK,),
    dead_after: timedelta = timedelta(days=3),
    lease: timedelta = timedelta(seconds=45),
    timeout_s: float = 5.0,
    turn_s: float = 30.0,
    started: bool = True,
) -> AsyncIterator[Delivering]:
    told: list[Dispatch] = []

    def published(log_id: str, seq: int) -> None:
        for dispatch in told:
            dispatch.nudge(log_id, seq)

    async with (
        create_pool(database_url, max_size=4) as pool,
        running_dependencies(database_url, published) as dependencies,
    ):
        counters, store = WebhookCounters(), EventStore(pool)
        attempts = Attempts(
            table=Webhooks(pool),
            writers=dependencies.writers,
            names=dependencies.actor_names,
            poster=Poster(total_timeout_s=timeout_s),
            bound=bound,
            counters=counters,
        )
        means = Means(store, dependencies.writers, attempts, counters, dead_after, lease, turn_s)
        dispatch = Dispatch(means, net_s=0.1)
        told.append(dispatch)
        whole = replace(dependencies, webhooks=dispatch.desk)
        async with client_of(whole) as api, asyncio.TaskGroup() as tasks:
            process = Delivering(whole, dispatch, means, api, pool, tasks)
            if started:
                process.start()
            yield process
            if process._run is not None:
                await process.stop()
