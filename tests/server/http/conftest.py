"""The application under test, with projects in it or without."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from server.http.services import Services
from tests.support.api import PROJECT, client_of, created, install, running_services


@pytest.fixture
async def services(database_url: str) -> AsyncIterator[Services]:
    async with running_services(database_url) as services:
        await install(services)
        yield services


@pytest.fixture
async def api(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """An admin's client of an installation with no projects."""
    async with client_of(services) as client:
        yield client


@pytest.fixture
async def demo(api: httpx.AsyncClient) -> httpx.AsyncClient:
    """An admin's client of an installation with the project demo and its flag checkout."""
    await created(api, "/api/v1/projects", {"key": "demo", "name": "Demo"})
    await created(api, f"{PROJECT}/flags", {"key": "checkout", "name": "New checkout"})
    return api
