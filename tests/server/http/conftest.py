"""The application under test, with projects in it or without."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest
import redis.asyncio

from server.http.dependencies import Dependencies
from tests.support.api import PROJECT, client_of, created, install, running_dependencies
from tests.support.serving import Installation, serving_dependencies


@pytest.fixture
async def dependencies(database_url: str) -> AsyncIterator[Dependencies]:
    async with running_dependencies(database_url) as dependencies:
        await install(dependencies)
        yield dependencies


@pytest.fixture
async def api(dependencies: Dependencies) -> AsyncIterator[httpx.AsyncClient]:
    """An admin's client of an installation with no projects."""
    async with client_of(dependencies) as client:
        yield client


@pytest.fixture
async def demo(api: httpx.AsyncClient) -> httpx.AsyncClient:
    """An admin's client of an installation with the project demo and its flag checkout."""
    await created(api, "/api/v1/projects", {"key": "demo", "name": "Demo"})
    await created(api, f"{PROJECT}/flags", {"key": "checkout", "name": "New checkout"})
    return api


@pytest.fixture
async def halyard(
    database_url: str, redis_client: redis.asyncio.Redis
) -> AsyncIterator[Installation]:
    """A project with a flag, an SDK key of each kind, and a gateway that serves them."""
    async with AsyncExitStack() as stack:
        dependencies = await stack.enter_async_context(
            serving_dependencies(database_url, redis_client)
        )
        await install(dependencies)
        api = await stack.enter_async_context(client_of(dependencies))
        installation = Installation(dependencies, api)
        await installation.found()
        yield installation
