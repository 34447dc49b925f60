"""The real application on a real database, asked through ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from domain.system import CreateAccount, IssueToken
from eventstore.accounts import Accounts
from eventstore.log import SYSTEM_LOG
from eventstore.pool import create_pool
from eventstore.store import EventStore
from server.credentials import fingerprint
from server.http.actors import AccountNames
from server.http.app import create_app
from server.http.auth import Authenticator
from server.http.services import Services
from server.writing.submission import Submission
from server.writing.writers import Writers

TOKEN = "hly_" + "a" * 64
ADMIN = "account-1"
PROJECT = "/api/v1/projects/demo"
FLAG = f"{PROJECT}/flags/checkout"
SETTINGS = f"{FLAG}/environments/development"


async def _install(writers: Writers, accounts: Accounts) -> None:
    await accounts.add(ADMIN, "ada@example.org", "Ada", None)
    account = CreateAccount(account=ADMIN, role="admin")
    token = IssueToken(token="token-1", account=ADMIN, sha256=fingerprint(TOKEN))
    viewer = CreateAccount(account="account-2", role="nobody-yet")
    of_viewer = IssueToken(token="token-2", account="account-2", sha256=fingerprint("viewer"))
    commands = (account, token, viewer, of_viewer)
    await writers.submit(SYSTEM_LOG, Submission.of("setup", *commands))


@asynccontextmanager
async def running_services(database_url: str, **more: Any) -> AsyncIterator[Services]:
    async with create_pool(database_url, max_size=4) as pool, asyncio.TaskGroup() as tasks:
        store = EventStore(pool)
        writers = Writers(store, tasks, lambda _log, _seq: None)

        async def installation() -> Any:
            return (await writers.system()).state

        names = AccountNames(Accounts(pool))
        yield Services(writers, store, Authenticator(installation), actor_names=names, **more)
        writers.stop()


@asynccontextmanager
async def client_of(
    services: Services, token: str | None = TOKEN
) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    transport = httpx.ASGITransport(create_app(services))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://halyard", headers=headers
    ) as client:
        yield client


@pytest.fixture
async def services(database_url: str) -> AsyncIterator[Services]:
    async with running_services(database_url) as services:
        await _install(services.writers, services.actor_names._accounts)  # type: ignore[attr-defined]
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


async def created(api: httpx.AsyncClient, path: str, body: dict[str, Any]) -> httpx.Response:
    response = await api.post(path, json=body)
    assert response.status_code == 201, response.text
    return response


def problem(response: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    """The problem in a response, which must be of this kind."""
    body: dict[str, Any] = response.json()
    assert (response.status_code, body["type"]) == (status, f"urn:halyard:problem:{slug}"), body
    assert response.headers["content-type"] == "application/problem+json"
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    return body
