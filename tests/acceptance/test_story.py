"""A week of a small team, told over HTTP alone.

An admin lets two developers in and asks for an approval in production. A change is proposed,
overtaken by another one, written anew, approved and applied; it turns out to be bad, is found in
the history, and put back. What was evaluated before, meanwhile and after is asked for at the end.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.program import HalyardProcess

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

ROOT = ("root@example.org", "the password of the first admin")
SHOP = "/api/v1/projects/shop"
CHECKOUT = f"{SHOP}/flags/checkout"
LIVE = f"{CHECKOUT}/environments/production"
REQUESTS = f"{SHOP}/change-requests"
EVALUATE = f"{SHOP}/environments/production/evaluate/checkout"
PAYING = {"op": "in", "attribute": "plan", "values": ["paid"]}


def problem(response: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    content: dict[str, Any] = response.json()
    assert content["type"] == f"urn:halyard:problem:{slug}"
    return content


def good(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code < 300, response.text
    content: dict[str, Any] = response.json() if response.content else {}
    return content


class Office:
    """A server, and a client for each who works with it."""

    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        self._url = url
        self._stack = stack

    async def desk(self, token: str = "") -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        client = httpx.AsyncClient(base_url=self._url, headers=headers, timeout=30)
        return await self._stack.enter_async_context(client)

    async def logged_in(self, email: str, password: str) -> httpx.AsyncClient:
        body = {"email": email, "password": password}
        login = good(await (await self.desk()).post("/api/v1/auth/login", json=body))
        return await self.desk(login["accessToken"])

    async def invited(self, by: httpx.AsyncClient, name: str, role: str) -> httpx.AsyncClient:
        """Somebody new, who chose a password and logged in with it."""
        email, password = f"{name}@example.org", f"what only {name} knows"
        wish = {"email": email, "name": name.title(), "role": role, "project": "shop"}
        secret = good(await by.post("/api/v1/auth/users", json=wish))["secret"]
        accepting = {"secret": secret, "password": password}
        good(await (await self.desk()).post("/api/v1/auth/accept", json=accepting))
        return await self.logged_in(email, password)


@pytest.fixture
async def office(tmp_path: Path, database_url: str, redis_url: str) -> AsyncIterator[Office]:
    env = {
        "HALYARD_DATABASE_URL": database_url,
        "HALYARD_REDIS_URL": redis_url,
        "HALYARD_ADMIN_EMAIL": ROOT[0],
        "HALYARD_ADMIN_PASSWORD": ROOT[1],
        "HALYARD_DRAIN_SECONDS": "0",
    }
    async with AsyncExitStack() as stack:
        process = HalyardProcess("serve", log=tmp_path / "office.log", env=env)
        await stack.enter_async_context(process)
        yield Office(process.url, stack)


async def seq_of(api: httpx.AsyncClient) -> int:
    return int(good(await api.get(SHOP))["seq"])


async def served(api: httpx.AsyncClient, plan: str, at: int | None = None) -> Any:
    """What a customer gets in production: now, or as of a seq."""
    body = {"context": {"key": "c-1", "plan": plan}, "default": "none"}
    query = {} if at is None else {"at": str(at)}
    return good(await api.post(EVALUATE, json=body, params=query))["value"]


async def proposed(by: httpx.AsyncClient, title: str, *commands: dict[str, Any]) -> str:
    body = {"title": title, "commands": list(commands)}
    answer = await by.post(REQUESTS, json=body)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


async def approved(by: httpx.AsyncClient, request: str) -> dict[str, Any]:
    etag = (await by.get(request)).headers["etag"]
    return good(await by.post(f"{request}/approve", headers={"if-match": etag}))


def on_checkout(kind: str, **content: Any) -> dict[str, Any]:
    return {"type": kind, "flag": "checkout", "environment": "production", **content}


async def test_a_bad_rollout_is_let_in_by_the_rules_found_by_the_history_and_put_back(
    office: Office,
) -> None:
    root = await office.logged_in(*ROOT)
    good(await root.post("/api/v1/projects", json={"key": "shop", "name": "Shop"}))
    ada = await office.invited(root, "ada", "developer")
    grace = await office.invited(root, "grace", "developer")

    await the_flag_is_made_by_a_developer_and_tried_in_staging(ada)
    await production_is_the_admins_and_then_nobodys_alone(root, ada)
    launch = await proposed(ada, "Launch", on_checkout("EnableFlag"))
    await approved(root, launch)
    good(await root.post(f"{launch}/apply"))
    before = await seq_of(root)
    assert await served(root, "paid") == await served(root, "free") == "old"

    await a_change_is_overtaken_and_written_anew(root, ada, grace)
    meanwhile = await seq_of(root)
    assert (await served(root, "paid"), await served(root, "free")) == ("broken", "new")

    bad = await the_cause_is_found(root, before)
    await it_is_put_back(root, grace, bad)
    assert (await served(root, "paid"), await served(root, "free")) == ("new", "new")
    assert (await served(root, "paid", before), await served(root, "free", before)) == ("old",) * 2
    assert await served(root, "paid", meanwhile) == "broken"


async def the_flag_is_made_by_a_developer_and_tried_in_staging(ada: httpx.AsyncClient) -> None:
    variations = [{"key": value, "value": value} for value in ("new", "broken", "old")]
    flag: dict[str, Any] = {"key": "checkout", "type": "string", "variations": variations}
    flag |= {"offVariation": "old", "fallthrough": {"variation": "old"}}
    good(await ada.post(f"{SHOP}/flags", json=flag))
    good(await ada.post(f"{CHECKOUT}/environments/staging/enable"))
    assert (await ada.get("/api/v1/auth/users")).status_code == 403
    listed = good(await ada.get("/api/v1/projects"))
    assert [project["key"] for project in listed["items"]] == ["shop"]


async def production_is_the_admins_and_then_nobodys_alone(
    root: httpx.AsyncClient, ada: httpx.AsyncClient
) -> None:
    refused = problem(await ada.post(f"{LIVE}/enable"), 403, "forbidden")
    assert refused["permission"] == "flag:write"
    asked = await root.patch(f"{SHOP}/environments/production", json={"requiredApprovals": 1})
    assert asked.status_code == 200, asked.text
    problem(await root.post(f"{LIVE}/enable"), 409, "approval-required")


async def a_change_is_overtaken_and_written_anew(
    root: httpx.AsyncClient, ada: httpx.AsyncClient, grace: httpx.AsyncClient
) -> None:
    rule = {"when": PAYING, "serve": {"variation": "broken"}}
    bad = on_checkout("AddRule", rule={"id": "paying", **rule})
    of_ada = await proposed(ada, "The new checkout for those who pay", bad)
    of_grace = await proposed(
        grace,
        "The new one for all",
        on_checkout("ChangeFallthrough", fallthrough={"variation": "new"}),
    )
    problem(await ada.post(f"{of_ada}/apply"), 403, "forbidden")
    await approved(root, of_ada)
    await approved(root, of_grace)
    good(await root.post(f"{of_grace}/apply"))
    overtaken = problem(await root.post(f"{of_ada}/apply"), 412, "stale-revision")
    assert [event["type"] for event in overtaken["between"]] == ["FallthroughChanged"]
    assert await served(root, "paid") == "new"

    good(await ada.patch(of_ada, json={"commands": [bad]}))
    problem(await root.post(f"{of_ada}/apply"), 409, "approval-required")
    difference = good(await root.get(f"{of_ada}/diff"))
    assert [change["path"] for change in difference["changes"]] == ["/rules/paying"]
    await approved(root, of_ada)
    good(await root.post(f"{of_ada}/apply"))


async def the_cause_is_found(root: httpx.AsyncClient, before: int) -> int:
    """The seq of the change that broke it for those who pay."""
    query = {"environment": "production", "after": str(before)}
    history = good(await root.get(f"{CHECKOUT}/history", params=query))["items"]
    assert [event["type"] for event in history] == ["RuleAdded", "FallthroughChanged"]
    assert history[0]["causationId"].startswith("change-request:")
    request = history[0]["causationId"].partition(":")[2]
    [author] = good(await root.get(f"{REQUESTS}/{request}"))["authors"]
    assert author["name"] == "Ada"
    difference = good(await root.get(f"{CHECKOUT}/diff", params={"from": str(before)}))
    assert {change["path"] for change in difference["changes"]} == {"/rules/paying", "/fallthrough"}
    return int(history[0]["seq"])


async def it_is_put_back(root: httpx.AsyncClient, grace: httpx.AsyncClient, bad: int) -> None:
    revert = f"{SHOP}/events/{bad}/revert"
    plan = good(await grace.get(revert))
    assert plan["applicable"]
    assert [command["type"] for command in plan["commands"]] == ["RemoveRule"]
    problem(await grace.post(revert, json={"token": plan["token"]}), 403, "forbidden")
    plan = good(await root.get(revert))
    problem(await root.post(revert, json={"token": plan["token"]}), 409, "approval-required")
    now = {"bypassApproval": "true", "comment": "Nobody who pays can buy"}
    good(await root.post(revert, json={"token": plan["token"]}, params=now))
    newest = good(await root.get(f"{CHECKOUT}/history", params={"limit": "1"}))["items"][0]
    assert (newest["type"], newest["body"]["comment"]) == ("RuleRemoved", now["comment"])
    assert newest["causationId"] == f"approval-bypass:revert:{bad}"
