"""Somebody whose role is for some environments is told of no change in the others."""

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
from tests.server.http.test_event_feed import Listener
from tests.support.api import FLAG, PROJECT, client_of, created, problem

TELLING = ("event:read", "change-request:read", "change-request:write", "command:submit")
STAGING = Grant(("flag:*", "environment:read"), environments=("staging",))
GRANTS = {
    "what is told in all, flags in one": (
        STAGING,
        Grant(("project:read", "segment:read", *TELLING)),
    ),
    "all in one": (
        Grant(
            (*STAGING.permissions, "project:read", "segment:read", *TELLING), ("*",), ("staging",)
        ),
    ),
    "flags in all, what is told in one": (
        Grant(("project:read", "segment:read", "flag:*", "environment:read")),
        Grant(TELLING, environments=("staging",)),
    ),
}


@pytest.fixture(params=list(GRANTS.values()), ids=list(GRANTS))
async def narrow(
    request: pytest.FixtureRequest, dependencies: Dependencies, changed: dict[str, int]
) -> AsyncIterator[httpx.AsyncClient]:
    """A client that may be told of staging alone."""
    assert changed
    commands = (
        s.CreateAccount(account="ann"),
        s.CreateRole(role="narrow", grants=request.param),
        s.AssignRole(subject="account", id="ann", role="narrow", project="demo"),
        s.IssueToken(token="of-ann", account="ann", sha256=fingerprint("token-of-ann")),
    )
    await dependencies.writers.submit(SYSTEM_LOG, Submission.of("setup", *commands))
    async with client_of(dependencies, "token-of-ann") as client:
        yield client


@pytest.fixture
async def changed(demo: httpx.AsyncClient) -> dict[str, int]:
    """By environment, the seq at which the flag was enabled there; under "then", the one before."""
    seqs = {"then": int((await demo.get(PROJECT)).json()["seq"])}
    for environment in ("staging", "production"):
        answer = await demo.post(f"{FLAG}/environments/{environment}/enable")
        seqs[environment] = answer.json()["seq"]
    return seqs


async def test_differences_leave_out_what_is_elsewhere(
    narrow: httpx.AsyncClient, demo: httpx.AsyncClient, changed: dict[str, int]
) -> None:
    query = {"from": changed["then"]}
    for client, seen in ((narrow, ["staging"]), (demo, ["production", "staging"])):
        changes = (await client.get(f"{FLAG}/diff", params=query)).json()["changes"]
        assert sorted(each["entity"]["environment"] for each in changes) == seen
        items = (await client.get(f"{PROJECT}/diff", params=query)).json()["items"]
        assert sorted(each["entity"]["environment"] for each in items) == seen


@pytest.mark.parametrize("path", [f"{PROJECT}/events", f"{FLAG}/history"])
async def test_history_is_told_by_environment(narrow: httpx.AsyncClient, path: str) -> None:
    refused = problem(await narrow.get(path), 403, "forbidden")
    assert refused["environment"] == "*"
    assert "in every environment of project 'demo'" in refused["detail"]
    for hidden in ("production", "never-was"):
        problem(await narrow.get(path, params={"environment": hidden}), 403, "forbidden")
    items = (await narrow.get(path, params={"environment": "staging"})).json()["items"]
    assert {each["entity"]["environment"] for each in items} == {"staging"}
    assert items[0]["type"] == "FlagEnabled"


async def test_one_event_is_told_where_its_environment_is_seen(
    narrow: httpx.AsyncClient, changed: dict[str, int]
) -> None:
    assert (await narrow.get(f"{PROJECT}/events/{changed['staging']}")).status_code == 200
    for hidden in (changed["production"], 1):
        problem(await narrow.get(f"{PROJECT}/events/{hidden}"), 403, "forbidden")


async def test_the_feed_is_of_an_environment_that_is_seen(
    narrow: httpx.AsyncClient, dependencies: Dependencies, changed: dict[str, int]
) -> None:
    problem(await narrow.get(f"{PROJECT}/events/stream"), 403, "forbidden")
    hidden = await narrow.get(f"{PROJECT}/events/stream", params={"environment": "production"})
    problem(hidden, 403, "forbidden")
    listener = Listener(dependencies, "environment=staging&after=0", token="token-of-ann")
    await listener.until(lambda: changed["staging"] in listener.seqs)
    listener.gone.set()
    await listener.over()
    assert {each["entity"]["environment"] for each in listener.events} == {"staging"}


async def test_plans_of_reverts_tell_of_what_is_seen(
    narrow: httpx.AsyncClient, changed: dict[str, int]
) -> None:
    to: dict[str, Any] = {"to": changed["then"]}
    none: dict[str, Any] = {}
    for query in (to, {**to, "environment": "production"}):
        problem(await narrow.get(f"{FLAG}/revert", params=query), 403, "forbidden")
    for path, query in (
        (f"{FLAG}/revert", {**to, "environment": "staging"}),
        (f"{PROJECT}/events/{changed['staging']}/revert", none),
    ):
        plan = await narrow.get(path, params=query)
        assert [each["type"] for each in plan.json()["commands"]] == ["DisableFlag"]
    for path, query in (
        (f"{PROJECT}/events/{changed['production']}/revert", none),
        (f"{PROJECT}/events/{changed['staging']}/revert", {"whole": True}),
    ):
        problem(await narrow.get(path, params=query), 403, "forbidden")


async def test_a_revert_is_refused_before_it_tells_what_came_between(
    narrow: httpx.AsyncClient, changed: dict[str, int]
) -> None:
    token = f"1-{'0' * 64}"
    path = f"{PROJECT}/events/{changed['production']}/revert"
    problem(await narrow.post(path, json={"token": token}), 403, "forbidden")


async def test_change_requests_for_elsewhere_are_not_there(
    narrow: httpx.AsyncClient, demo: httpx.AsyncClient
) -> None:
    addresses = {}
    for environment in ("staging", "production"):
        command = {"type": "DisableFlag", "flag": "checkout", "environment": environment}
        body = {"title": environment, "commands": [command]}
        answer = await demo.post(f"{PROJECT}/change-requests", json=body)
        addresses[environment] = answer.headers["location"]
    items = (await narrow.get(f"{PROJECT}/change-requests")).json()["items"]
    assert [each["title"] for each in items] == ["staging"]
    assert (await narrow.get(addresses["staging"])).status_code == 200
    (change,) = (await narrow.get(f"{addresses['staging']}/diff")).json()["changes"]
    assert change["entity"]["environment"] == "staging"
    for path in (addresses["production"], f"{addresses['production']}/diff"):
        problem(await narrow.get(path), 404, "not-found")


async def test_nothing_is_compared_with_or_copied_from_what_is_not_seen(
    dependencies: Dependencies, demo: httpx.AsyncClient
) -> None:
    await created(demo, f"{PROJECT}/environments", {"key": "canary", "name": "Canary"})
    commands = (
        s.CreateAccount(account="ann"),
        s.CreateRole(role="narrow", grants=(STAGING, Grant(("project:read",)))),
        s.AssignRole(subject="account", id="ann", role="narrow", project="demo"),
        s.IssueToken(token="of-ann", account="ann", sha256=fingerprint("token-of-ann")),
    )
    await dependencies.writers.submit(SYSTEM_LOG, Submission.of("setup", *commands))
    async with client_of(dependencies, "token-of-ann") as ann:
        pair = {"from": "production", "to": "staging"}
        problem(await ann.get(f"{PROJECT}/compare", params=pair), 404, "not-found")
        refused = await ann.post(f"{FLAG}/copy", json={**pair, "dryRun": True})
        assert refused.status_code in (404, 409, 422)
        assert "canary" not in refused.text
