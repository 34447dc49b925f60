"""A stranger who has read the description, and asks for everything in it.

Schemathesis makes requests from ``/openapi.json``, well-formed and not, and holds each answer
against it: no fault of the server, no status, content type, header or body that is not described,
and no secret. ``SCHEMATHESIS_EXAMPLES`` asks for more of each operation.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count, cycle
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from domain.system.commands import CreateAccount, IssueToken
from eventstore.log import SYSTEM_LOG
from eventstore.pool import create_pool
from eventstore.store import EventStore
from server.credentials import fingerprint
from server.writing.submission import Submission
from server.writing.writers import Writers
from tests.support.dev import record
from tests.support.program import HalyardProcess

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "3"))

pytestmark = [pytest.mark.acceptance, pytest.mark.long, pytest.mark.timeout(150 * EXAMPLES)]

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
VIEWER_TOKEN = "hly_" + "b" * 64
NOT_HERE = "nowhere"
"""In place of what must not end while it is asked about."""


class Installation(NamedTuple):
    """One that runs, who may ask, what is in it, and what it must never tell."""

    url: str
    tokens: dict[str, str]
    known: dict[str, str]
    secrets: tuple[str, ...]


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    data_dir = tmp_path / "data"
    async with HalyardProcess("dev", "--data-dir", str(data_dir), log=tmp_path / "log") as process:
        known = await record(process, data_dir)
        hashes = await add_viewer(known["databaseUrl"])
        tokens = {"admin": known["admin"]["token"], "viewer": VIEWER_TOKEN}
        servers = [keys["server"] for keys in known["keys"].values()]
        # Of tokens and server keys the log knows a SHA-256, from which nobody gets to 256 random
        # bits; an event says which it was.
        secrets = (*tokens.values(), *servers, known["admin"]["password"], *hashes)
        async with httpx.AsyncClient(base_url=f"{process.url}/api/v1") as http:
            await let_in(http)
            http.headers["authorization"] = f"Bearer {tokens['admin']}"
            here = await what_is_here(http)
        yield Installation(process.url, tokens, here, secrets)


async def add_viewer(database_url: str) -> list[str]:
    """An account that may only read; answers the hashes of all passwords."""
    async with create_pool(database_url, max_size=2) as pool, asyncio.TaskGroup() as tasks:
        writers = Writers(EventStore(pool), tasks, lambda _log, _seq: None)
        account = CreateAccount(account="viewer-1", role="viewer")
        token = IssueToken(token="t-viewer", account="viewer-1", sha256=fingerprint(VIEWER_TOKEN))
        await writers.submit(SYSTEM_LOG, Submission.of("setup", account, token))
        writers.stop()
        rows = await pool.fetch("select * from account")
        return [value for row in rows for value in row.values() if "argon2" in str(value)]


async def let_in(http: httpx.AsyncClient) -> None:
    """Wait until the process has heard of the viewer."""
    headers = {"authorization": f"Bearer {VIEWER_TOKEN}"}
    async with asyncio.timeout(10):
        while (await http.get("/projects", headers=headers)).status_code == 401:
            await asyncio.sleep(0.05)


async def what_is_here(http: httpx.AsyncClient) -> dict[str, str]:
    """Values of path parameters that lead somewhere."""
    demo = "/projects/demo"
    flags = (await http.get(f"{demo}/flags")).json()["items"]
    segments = (await http.get(f"{demo}/segments")).json()["items"]
    keys = (await http.get(f"{demo}/environments/development/keys")).json()["items"]
    return {
        "project": "demo",
        "environment": "development",
        "flag": flags[0]["key"],
        "segment": segments[0]["key"],
        "key": keys[0]["id"],
    }


def operations(document: dict[str, Any]) -> Iterator[Any]:
    """All but those that last: what they answer has no end."""
    for found in schemathesis.openapi.from_dict(document).get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        answers = operation.definition.raw["responses"].values()
        if not any("text/event-stream" in answer.get("content", {}) for answer in answers):
            yield operation


class Stranger:
    """Asks, with one token."""

    def __init__(self, installation: Installation, token: str, session: requests.Session) -> None:
        self._installation = installation
        self._headers = {"authorization": f"Bearer {token}"}
        self._session = session
        self._leads_somewhere = cycle((True, True, False))
        self.asked = count()
        self.statuses: dict[int, int] = {}

    def ask(self, case: Any) -> None:
        """One request, and everything that its answer must be."""
        self._direct(case)
        response = case.call(
            base_url=self._installation.url,
            headers=self._headers,
            session=self._session,
            timeout=30,
        )
        next(self.asked)
        self.statuses[response.status_code] = self.statuses.get(response.status_code, 0) + 1
        told = response.text + str(response.headers)
        assert not [secret for secret in self._installation.secrets if secret in told]
        case.validate_response(response, checks=CHECKS)

    def _direct(self, case: Any) -> None:
        # What the future holds is waited for, and then it is 504: that is so, and slow.
        (case.query or {}).pop("minSeq", None)
        if not next(self._leads_somewhere):
            return
        for name in case.path_parameters or {}:
            if name in self._installation.known:
                case.path_parameters[name] = self._installation.known[name]
        if case.method == "DELETE" and case.operation.path.endswith("/projects/{project}"):
            case.path_parameters["project"] = NOT_HERE


def asking(operation: Any, stranger: Stranger) -> Callable[[], None]:
    """A test of one operation, the same each time unless many examples are asked for."""

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        stranger.ask(case)

    return ask


def ask_for_everything(installation: Installation, who: str) -> Stranger:
    with requests.Session() as session:
        document = json.loads(session.get(f"{installation.url}/openapi.json").content)
        stranger = Stranger(installation, installation.tokens[who], session)
        failures: list[str] = []
        for operation in operations(document):
            try:
                asking(operation, stranger)()
            except Exception as failure:  # noqa: BLE001 - all of them are to be told
                failures.append(f"{operation.label}: {str(failure)[:2_000]}")
            except BaseExceptionGroup as group:
                failures += [f"{operation.label}: {str(e)[:2_000]}" for e in group.exceptions]
        assert not failures, "\n\n".join(failures)
    return stranger


async def test_everything_that_is_answered_is_described(installation: Installation) -> None:
    for who in ("admin", "viewer"):
        stranger = await asyncio.to_thread(ask_for_everything, installation, who)
        assert next(stranger.asked) >= EXAMPLES * 60
        sys.stderr.write(f"{who}: {dict(sorted(stranger.statuses.items()))}\n")
        assert who != "admin" or stranger.statuses[200] > EXAMPLES * 10
    async with httpx.AsyncClient(base_url=installation.url) as http:
        headers = {"authorization": f"Bearer {installation.tokens['admin']}"}
        demo = await http.get("/api/v1/projects/demo", headers=headers)
    assert demo.status_code == 200, "what was asked about is still there"
