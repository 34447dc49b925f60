"""What accounts were refused, as administrators read it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from domain.system import commands as s
from domain.system.vocabulary import SYSTEM_LOG, Grant
from server.credentials import fingerprint
from server.http.dependencies import Dependencies
from server.writing.submission import Submission
from tests.support.api import FLAG, PROJECT, client_of, problem

REFUSALS = "/api/v1/auth/refusals"
ADDRESS = "127.0.0.1"


@pytest.fixture
async def ann(
    dependencies: Dependencies, demo: httpx.AsyncClient
) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who may read the project demo."""
    assert demo is not None
    await dependencies.writers.submit(
        SYSTEM_LOG,
        Submission.of(
            "setup",
            s.CreateAccount(account="ann"),
            s.IssueToken(token="of-ann", account="ann", sha256=fingerprint("token-of-ann")),
            s.CreateRole(role="reader", grants=(Grant(("flag:read", "command:submit")),)),
            s.AssignRole(subject="account", id="ann", role="reader", project="demo"),
        ),
    )
    async with client_of(dependencies, "token-of-ann") as client:
        yield client


async def listed(
    dependencies: Dependencies, admin: httpx.AsyncClient, **query: Any
) -> list[dict[str, Any]]:
    assert dependencies.refusals is not None
    await dependencies.refusals.write()
    response = await admin.get(REFUSALS, params=query)
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items


async def test_a_refused_request_is_listed(
    dependencies: Dependencies, demo: httpx.AsyncClient, ann: httpx.AsyncClient
) -> None:
    for _ in range(2):
        problem(await ann.post(f"{FLAG}/environments/staging/enable"), 403, "forbidden")
    [refusal] = await listed(dependencies, demo)
    assert refusal.pop("refusedAt")
    assert refusal == {
        "actor": {"id": "ann", "name": None},
        "permission": "flag:write",
        "project": "demo",
        "environment": "staging",
        "method": "POST",
        "route": "/api/v1/projects/{project}/flags/{flag}/environments/{environment}/enable",
        "credential": "token",
        "credentialId": "of-ann",
        "address": ADDRESS,
        "times": 2,
    }


async def test_a_command_that_the_writer_refused_is_listed(
    dependencies: Dependencies, demo: httpx.AsyncClient, ann: httpx.AsyncClient
) -> None:
    command = {"type": "EnableFlag", "flag": "checkout", "environment": "production"}
    problem(await ann.post(f"{PROJECT}/commands", json=command), 403, "forbidden")
    [refusal] = await listed(dependencies, demo)
    assert (refusal["permission"], refusal["environment"]) == ("flag:write", "production")
    assert refusal["route"] == "/api/v1/projects/{project}/commands"


async def test_a_project_that_was_hidden_is_listed_as_it_was_asked_for(
    dependencies: Dependencies, demo: httpx.AsyncClient, ann: httpx.AsyncClient
) -> None:
    problem(await ann.get("/api/v1/projects/secret/flags"), 404, "not-found")
    problem(await ann.get(f"/api/v1/projects/{'x' * 900}/flags"), 404, "not-found")
    problem(await ann.get("/api/v1/auth/me/permissions?project=other"), 404, "not-found")
    asked = [(each["project"], each["permission"]) for each in await listed(dependencies, demo)]
    assert asked == [
        ("other", "project:read"),
        ("x" * 200, "flag:read"),
        ("secret", "flag:read"),
    ]


@pytest.mark.parametrize(
    ("environments", "told"),
    [
        (("staging",), {"staging"}),
        (("$unprotected",), {"development", "staging"}),
        (("*",), {"development", "production", "staging"}),
    ],
)
async def test_environments_that_the_reader_may_not_see_are_not_named(
    environments: tuple[str, ...],
    told: set[str],
    dependencies: Dependencies,
    demo: httpx.AsyncClient,
    ann: httpx.AsyncClient,
) -> None:
    for environment in ("development", "staging", "production"):
        problem(await ann.post(f"{FLAG}/environments/{environment}/enable"), 403, "forbidden")
    grants = (Grant(("account:read",)), Grant(("environment:read",), environments=environments))
    eve = (
        s.CreateRole(role="narrow", grants=grants),
        s.CreateAccount(account="eve", role="narrow"),
        s.IssueToken(token="of-eve", account="eve", sha256=fingerprint("token-of-eve")),
    )
    await dependencies.writers.submit(SYSTEM_LOG, Submission.of("setup", *eve))
    async with client_of(dependencies, "token-of-eve") as reader:
        items = await listed(dependencies, reader)
    assert [each["permission"] for each in items] == ["flag:write"] * 3
    assert {each["environment"] for each in items} - {None} == told


async def test_nothing_else_is_listed(
    dependencies: Dependencies, demo: httpx.AsyncClient, ann: httpx.AsyncClient
) -> None:
    assert (await ann.get(f"{PROJECT}/flags")).status_code == 200
    problem(await ann.get(f"{PROJECT}/flags/none"), 404, "not-found")
    async with client_of(dependencies, "made-up") as stranger:
        problem(await stranger.get(f"{PROJECT}/flags"), 401, "unauthenticated")
    assert await listed(dependencies, demo) == []


async def test_the_list_is_paged_and_filtered(
    dependencies: Dependencies, demo: httpx.AsyncClient, ann: httpx.AsyncClient
) -> None:
    for path in ("flags", "segments", "webhooks"):
        await ann.get(f"/api/v1/projects/secret/{path}")
    async with client_of(dependencies, "viewer") as other:
        await other.get(f"{PROJECT}/flags")
    permissions = [each["permission"] for each in await listed(dependencies, demo, actor="ann")]
    assert permissions == ["webhook:read", "segment:read", "flag:read"]
    assert len(await listed(dependencies, demo, permission="flag:read")) == 2
    assert len(await listed(dependencies, demo, permission="flag:read", project="demo")) == 1
    first = (await demo.get(REFUSALS, params={"limit": 3})).json()
    rest = (await demo.get(REFUSALS, params={"limit": 3, "cursor": first["nextCursor"]})).json()
    assert [len(first["items"]), len(rest["items"]), rest["nextCursor"]] == [3, 1, None]
    assert rest["items"][0]["permission"] == "flag:read"
    problem(await demo.get(REFUSALS, params={"cursor": "eHl6"}), 422, "malformed")


async def test_who_is_refused_the_list_is_on_it(
    dependencies: Dependencies, demo: httpx.AsyncClient, ann: httpx.AsyncClient
) -> None:
    problem(await ann.get(REFUSALS), 403, "forbidden")
    [refusal] = await listed(dependencies, demo)
    assert (refusal["permission"], refusal["project"]) == ("account:read", None)


async def test_an_erased_person_s_address_is_on_it_no_more(
    dependencies: Dependencies, demo: httpx.AsyncClient, ann: httpx.AsyncClient
) -> None:
    problem(await ann.get(REFUSALS), 403, "forbidden")
    [refusal] = await listed(dependencies, demo)
    assert refusal["address"] == ADDRESS
    erased = await demo.post("/api/v1/auth/users/ann/erase")
    assert erased.status_code == 200, erased.text
    [refusal] = await listed(dependencies, demo)
    assert (refusal["address"], refusal["credentialId"]) == (None, None)
    assert refusal["actor"]["id"] == "ann"
