"""The real HTTP application on a real database, asked through ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx

from domain.system.commands import CreateAccount, IssueToken
from eventstore.accounts import Accounts
from eventstore.analytics import Analytics
from eventstore.contexts import ContextSamples
from eventstore.identities import Identities
from eventstore.log import SYSTEM_LOG
from eventstore.origins import Origins
from eventstore.pool import create_pool
from eventstore.refusals import Refusals
from eventstore.store import EventStore
from eventstore.token_uses import TokenUses
from projections.script import RedisClient
from server.addresses import address_days
from server.credentials import fingerprint
from server.http.actors import AccountNames
from server.http.app import create_app
from server.http.auth import Authenticator
from server.http.dependencies import Dependencies
from server.logins.desk import login_desk
from server.refusals import RefusalKeeper
from server.token_use import TokenUseNotes
from server.writing.log_writer import Published
from server.writing.submission import Submission
from server.writing.writers import Writers

TOKEN = "hly_" + "a" * 64
ADMIN = "account-1"
PROJECT = "/api/v1/projects/demo"
FLAG = f"{PROJECT}/flags/checkout"
SETTINGS = f"{FLAG}/environments/development"


async def install(dependencies: Dependencies) -> None:
    """An admin with a token and a name, and an account whose role allows nothing."""
    account = CreateAccount(account=ADMIN, role="admin")
    token = IssueToken(token="token-1", account=ADMIN, sha256=fingerprint(TOKEN))
    viewer = CreateAccount(account="account-2", role="")
    of_viewer = IssueToken(token="token-2", account="account-2", sha256=fingerprint("viewer"))
    commands = (account, token, viewer, of_viewer)
    await dependencies.writers.submit(SYSTEM_LOG, Submission.of("setup", *commands))


@asynccontextmanager
async def running_dependencies(
    database_url: str,
    published: Published = lambda _log, _seq: None,
    login_redis: RedisClient | None = None,
    **more: Any,
) -> AsyncIterator[Dependencies]:
    """One server process's dependencies; ``more`` are further fields of them."""
    async with create_pool(database_url, max_size=4) as pool, asyncio.TaskGroup() as tasks:
        store = EventStore(pool)
        writers = Writers(store, tasks, published)

        accounts = Accounts(pool)
        if await accounts.by_id(ADMIN) is None:
            await accounts.add(ADMIN, "ada@example.org", "Ada", None)
        names = AccountNames(accounts)
        origins, refusals = Origins(pool), Refusals(pool)
        desk = login_desk(pool, writers, login_redis, (origins, refusals, Identities(pool)))
        yield Dependencies(
            writers,
            store,
            Authenticator(writers, desk, token_uses=TokenUseNotes(TokenUses(pool))),
            actor_names=names,
            analytics=Analytics(pool),
            context_samples=ContextSamples(pool),
            origins=origins,
            desk=desk,
            refusals=RefusalKeeper(refusals, partial(address_days, writers)),
            **more,
        )
        desk.close()
        writers.stop()


@asynccontextmanager
async def client_of(
    dependencies: Dependencies, token: str | None = TOKEN
) -> AsyncIterator[httpx.AsyncClient]:
    """A client that asks the application of these dependencies."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    transport = httpx.ASGITransport(create_app(dependencies))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://halyard", headers=headers
    ) as client:
        yield client


async def created(api: httpx.AsyncClient, path: str, body: dict[str, Any]) -> httpx.Response:
    """Create something, or fail the test."""
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
