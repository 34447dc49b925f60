"""Flags attached to a segment and detached from it, over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.support.api import PROJECT, SETTINGS, created, problem

FLAGS = f"{PROJECT}/segments/beta/flags"
IN_BETA = {"op": "segment", "values": ["beta"]}
ON = {"variation": "on"}


@pytest.fixture
async def beta(demo: httpx.AsyncClient) -> httpx.AsyncClient:
    """The segment beta beside others, and the flag banner beside checkout."""
    for key in ("beta", "staff"):
        await created(demo, f"{PROJECT}/segments", {"key": key})
    rules = [{"when": IN_BETA}]
    await created(demo, f"{PROJECT}/segments", {"key": "friends", "rules": rules})
    await created(demo, f"{PROJECT}/flags", {"key": "banner", "name": "Banner"})
    return demo


def place(flag: str = "checkout", environment: str = "development") -> dict[str, Any]:
    return {"flag": flag, "environment": environment}


async def put(api: httpx.AsyncClient, **body: Any) -> list[str]:
    """The types of the events of a write that must be accepted."""
    response = await api.put(FLAGS, json=body)
    assert response.status_code == 200, response.text
    return [event["type"] for event in response.json()["events"]]


async def rules(api: httpx.AsyncClient) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await api.get(f"{SETTINGS}/rules")).json()["items"]
    return items


async def add_rule(api: httpx.AsyncClient, when: Any, **more: Any) -> str:
    made = await created(api, f"{SETTINGS}/rules", {"when": when, "serve": ON} | more)
    return made.headers["location"].rsplit("/", 1)[1]


async def test_flags_are_attached_in_environments_as_one_batch(beta: httpx.AsyncClient) -> None:
    await add_rule(beta, {"attribute": "country", "op": "in", "values": ["DE"]})
    shares = [{"variation": "on", "weight": 40_000}, {"variation": "off", "weight": 60_000}]
    attach = [
        place() | {"variation": "on", "position": 0, "name": "Friends"},
        place("banner", "production") | {"serve": {"rollout": {"buckets": shares}}},
    ]
    assert await put(beta, attach=attach, comment="go") == ["RuleAdded", "RuleAdded"]
    first = (await rules(beta))[0]
    assert (first["when"], first["serve"], first["name"]) == (IN_BETA, ON, "Friends")
    items = (await beta.get(FLAGS)).json()["items"]
    assert [(item["flag"], item["environment"]) for item in items] == [
        ("banner", "production"),
        ("checkout", "development"),
    ]
    assert items[0]["name"] == "Banner"
    (rule,) = items[1]["rules"]
    assert rule == {
        "id": first["id"], "name": "Friends", "position": 0, "enabled": True,
        "segments": ["beta"], "attached": True,
    }  # fmt: skip


async def test_attaching_again_changes_what_is_served_and_nothing_else(
    beta: httpx.AsyncClient,
) -> None:
    attached = place() | ON
    assert await put(beta, attach=[attached]) == ["RuleAdded"]
    assert await put(beta, attach=[attached]) == []
    assert await put(beta, attach=[place() | {"variation": "off"}]) == ["RuleChanged"]
    (rule,) = await rules(beta)
    await beta.put(f"{SETTINGS}/rules/{rule['id']}", json=rule | {"enabled": False})
    assert await put(beta, attach=[place() | {"variation": "off"}]) == ["RuleChanged"]
    (rule,) = await rules(beta)
    assert rule.get("enabled", True) is True


async def test_detaching_removes_the_rule_and_leaves_those_of_other_segments(
    beta: httpx.AsyncClient,
) -> None:
    await put(beta, attach=[place() | ON])
    await add_rule(beta, {"op": "segment", "values": ["staff", "beta"]})
    assert await put(beta, detach=[place()]) == ["RuleRemoved", "RuleChanged"]
    (rule,) = await rules(beta)
    assert rule["when"] == {"op": "segment", "values": ["staff"]}
    assert await put(beta, detach=[place()]) == []
    assert (await beta.get(FLAGS)).json()["items"] == []


async def test_a_rule_that_asks_for_more_is_named_and_goes_only_by_force(
    beta: httpx.AsyncClient,
) -> None:
    in_germany = {"attribute": "country", "op": "in", "values": ["DE"]}
    rule = await add_rule(beta, {"all": [IN_BETA, in_germany]})
    other = await add_rule(beta, {"op": "notSegment", "values": ["beta"]})
    await put(beta, attach=[place() | ON])
    body = problem(await beta.put(FLAGS, json={"detach": [place()]}), 409, "larger-condition")
    assert [use["part"] for use in body["uses"]] == [f"rule '{rule}'", f"rule '{other}'"]
    assert len(await rules(beta)) == 3
    assert await put(beta, detach=[place() | {"force": True}]) == ["RuleRemoved"] * 3


async def test_flags_that_mean_the_segment_by_another_one_are_listed(
    beta: httpx.AsyncClient,
) -> None:
    await add_rule(beta, {"op": "segment", "values": ["friends"]})
    (item,) = (await beta.get(FLAGS)).json()["items"]
    assert (item["direct"], item["archived"], item["enabled"]) == (False, False, False)
    assert [(r["segments"], r["attached"]) for r in item["rules"]] == [(["friends"], False)]
    assert (await beta.get(f"{FLAGS}?environment=staging")).json()["items"] == []
    problem(await beta.get(f"{FLAGS}?environment=moon"), 404, "not-found")


async def test_two_who_attach_the_same_flag_at_once_make_one_rule(beta: httpx.AsyncClient) -> None:
    await asyncio.gather(*(put(beta, attach=[place() | ON]) for _ in range(2)))
    assert len(await rules(beta)) == 1


async def test_a_repeat_is_answered_as_the_first_was(beta: httpx.AsyncClient) -> None:
    headers = {"idempotency-key": "once"}
    body = {"attach": [place() | ON]}
    first = (await beta.put(FLAGS, json=body, headers=headers)).json()
    await put(beta, detach=[place()])
    again = (await beta.put(FLAGS, json=body, headers=headers)).json()
    assert again == first | {"replayed": True}
    assert await rules(beta) == []
    # So also where there was nothing to do.
    headers = {"idempotency-key": "twice"}
    body = {"detach": [place()]}
    assert (await beta.put(FLAGS, json=body, headers=headers)).json()["events"] == []
    await put(beta, attach=[place() | ON])
    assert (await beta.put(FLAGS, json=body, headers=headers)).json()["replayed"] is True
    assert len(await rules(beta)) == 1


async def test_what_is_wrong_is_named_and_nothing_is_done(beta: httpx.AsyncClient) -> None:
    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({}, "/attach"),
        ({"attach": [place()]}, "/attach/0/variation"),
        ({"attach": [place() | ON | {"serve": ON}]}, "/attach/0/variation"),
        ({"attach": [place() | ON], "detach": [place()]}, "/detach/0"),
        ({"attach": [place() | ON | {"colour": 1}]}, "/attach/0/colour"),
    )
    for body, path in wrong:
        (error,) = problem(await beta.put(FLAGS, json=body), 422, "malformed")["errors"]
        assert error["path"] == path
    unknown = {"attach": [place("banner") | ON, place() | {"variation": "maybe"}]}
    (error,) = problem(await beta.put(FLAGS, json=unknown), 422, "invalid-command")["errors"]
    assert error["path"].startswith("/attach/1/variation")
    for body in ({"detach": [place("nothing")]}, {"detach": [place(environment="moon")]}):
        problem(await beta.put(FLAGS, json=body), 404, "not-found")
    matched = await beta.put(FLAGS, json={"detach": [place()]}, headers={"if-match": '"1"'})
    assert problem(matched, 422, "malformed")["errors"][0]["path"] == "If-Match"
    assert (await beta.get(FLAGS)).json()["items"] == []
