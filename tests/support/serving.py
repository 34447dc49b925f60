"""The API beside a projector and a gateway, all real: what SDK keys are served from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import redis.asyncio

from projections.rulesets import Rulesets
from projections.runner import Projector
from server.http.dependencies import Dependencies
from server.readiness import RulesetsPresence
from streaming.caller import NotAvailable
from streaming.gateway import Gateway
from streaming.serving import ServedEnvironment
from streaming.settings import StreamSettings
from tests.support.api import PROJECT, created, running_dependencies

KEYS = f"{PROJECT}/environments/development/keys"


@asynccontextmanager
async def serving_dependencies(
    database_url: str,
    client: redis.asyncio.Redis,
    settings: StreamSettings | None = None,
) -> AsyncIterator[Dependencies]:
    """One process with all roles; what is written reaches the gateway as soon as it can."""
    projectors: list[Projector] = []

    def published(log_id: str, seq: int) -> None:
        for projector in projectors:
            projector.nudge(log_id, seq)

    async with running_dependencies(database_url, published) as bare:
        projectors.append(Projector(bare.store, client))
        rulesets = Rulesets(client)
        presence = RulesetsPresence(bare.store, bare.writers, rulesets)
        gateway = Gateway(client, is_current=presence.is_current, settings=settings)
        runs = (projectors[0].run(), gateway.run())
        running = [asyncio.create_task(run) for run in runs]
        yield replace(bare, gateway=gateway, rulesets=rulesets)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def served_soon(dependencies: Dependencies, key: str) -> ServedEnvironment:
    """The environment of a key that was just issued, once every ruleset is there.

    No message tells when.
    """
    assert dependencies.gateway is not None
    assert dependencies.rulesets is not None
    presence = RulesetsPresence(dependencies.store, dependencies.writers, dependencies.rulesets)
    async with asyncio.timeout(10):
        await presence.wait_complete()
        while True:
            try:
                return await dependencies.gateway.serve_key(key, 5)
            except NotAvailable:
                await asyncio.sleep(0.005)


class Installation:
    """The project demo, and a server and a client key of its development."""

    def __init__(self, dependencies: Dependencies, api: httpx.AsyncClient) -> None:
        self.dependencies = dependencies
        self.api = api
        self.server_key = self.client_key = self.key_id = ""
        """``key_id`` is the server key's."""

    async def found(self) -> None:
        """Set all of it up, and wait until the gateway serves it."""
        await created(self.api, "/api/v1/projects", {"key": "demo", "name": "Demo"})
        await created(self.api, f"{PROJECT}/flags", {"key": "checkout"})
        issued = (await created(self.api, KEYS, {"kind": "server"})).json()
        self.server_key, self.key_id = issued["secret"], issued["id"]
        self.client_key = (await created(self.api, KEYS, {"kind": "client"})).json()["secret"]
        await served_soon(self.dependencies, self.client_key)

    async def reached(self, seq: int) -> None:
        """The gateway has a change."""
        gateway = self.dependencies.gateway
        assert gateway is not None
        served = await gateway.serve_key(self.client_key, 5)
        told = asyncio.Event()
        unsubscribe = served.on_change(told.set)
        while served.changed < seq:
            await told.wait()
            told.clear()
        unsubscribe()
