"""The application under test, with projects in it or without."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from server.http.dependencies import Dependencies
from tests.support.api import PROJECT, client_of, created, install, running_dependencies


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
