"""Commands run in this process, against a database and a Valkey of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from domain.commands import CreateFlag, CreateProject, complete
from eventstore.pool import create_pool
from eventstore.store import EventStore
from server.cli.main import app
from server.credentials import new_id
from server.writing.submission import Submission
from server.writing.writers import Writers
from tests.support.api import TOKEN
from tests.support.cli import Halyard
from tests.support.running_api import RunningApi
from tests.support.servers import TestServers


@pytest.fixture
def halyard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Halyard:
    """Runs `halyard` with some arguments, in a folder without an installation."""
    monkeypatch.chdir(tmp_path)
    # Logging belongs to pytest here; what set_up_logs does is tested in a process of its own.
    monkeypatch.setattr("server.cli.installations.set_up_logs", lambda *_: None)
    return lambda *arguments, **more: CliRunner().invoke(app, list(map(str, arguments)), **more)


@pytest.fixture(scope="module")
def api(servers: TestServers, migrated_template: str) -> Iterator[httpx.Client]:
    """Asks a server that the tests of a module share, as its administrator."""
    name = servers.create_database(migrated_template)
    headers = {"authorization": f"Bearer {TOKEN}"}
    with (
        RunningApi(servers.database_url(name)) as url,
        httpx.Client(base_url=f"{url}/api/v1", headers=headers) as client,
    ):
        yield client
    servers.drop_database(name)


@pytest.fixture
def project(api: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> str:
    """The key of a new project on the shared server, which the variables name."""
    monkeypatch.setenv("HALYARD_URL", str(api.base_url.join("/")))
    monkeypatch.setenv("HALYARD_TOKEN", TOKEN)
    key = f"p-{new_id()}"
    assert api.post("/projects", json={"key": key}).status_code == 201
    return key


@pytest.fixture
def installation(database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Variables that name migrated servers; the database's URL."""
    monkeypatch.setenv("HALYARD_DATABASE_URL", database_url)
    monkeypatch.setenv("HALYARD_REDIS_URL", redis_url)
    return database_url


@pytest.fixture
def demo(installation: str) -> str:
    """A project `demo` with one flag in it; the database's URL."""
    asyncio.run(create_project(installation, "demo"))
    return installation


async def create_project(database_url: str, project: str) -> None:
    """A project with its usual environments and the flag `checkout`."""
    commands = (
        complete(CreateProject(project=project, name="Demo"), new_id),
        complete(CreateFlag(flag="checkout"), new_id),
    )
    async with create_pool(database_url) as pool, asyncio.TaskGroup() as tasks:
        writers = Writers(EventStore(pool), tasks, lambda _log, _seq: None)
        for command in commands:
            await writers.submit(project, Submission.of("ada", command))
        writers.stop()
