"""What a flag rests on and what rests on it, over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.api import PROJECT, created, problem


@pytest.fixture
async def chain(demo: httpx.AsyncClient) -> httpx.AsyncClient:
    """In staging: checkout rests on b, b on a and the segment outer, which names inner."""
    for key in "ab":
        await created(demo, f"{PROJECT}/flags", {"key": key})
    await created(demo, f"{PROJECT}/segments", {"key": "inner", "name": "Inside"})
    rule = {"when": {"op": "segment", "values": ["inner"]}}
    await created(demo, f"{PROJECT}/segments", {"key": "outer", "rules": [rule]})
    place = "environments/staging"
    needs_outer = {"when": {"op": "segment", "values": ["outer"]}, "serve": {"variation": "on"}}
    await created(demo, f"{PROJECT}/flags/b/{place}/rules", needs_outer)
    for flag, needed in (("checkout", "b"), ("b", "a")):
        body = {"prerequisites": [{"flag": needed, "variations": ["on"]}]}
        response = await demo.put(f"{PROJECT}/flags/{flag}/{place}/prerequisites", json=body)
        assert response.status_code == 200, response.text
    return demo


async def listed(api: httpx.AsyncClient, path: str) -> list[dict[str, Any]]:
    """All of a list, page by page."""
    sign = "&" if "?" in path else "?"
    page = (await api.get(f"{PROJECT}/flags/{path}{sign}limit=2")).json()
    items: list[dict[str, Any]] = page["items"]
    while page["nextCursor"]:
        more = f"{PROJECT}/flags/{path}{sign}limit=2&cursor={page['nextCursor']}"
        page = (await api.get(more)).json()
        items += page["items"]
    return items


def short(items: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    return [
        (item["kind"], item["key"], item["depth"], item["through"] and item["through"]["key"])
        for item in items
    ]


async def test_dependencies_are_followed_to_their_end(chain: httpx.AsyncClient) -> None:
    items = await listed(chain, "checkout/dependencies")
    assert short(items) == [
        ("flag", "b", 1, None),
        ("flag", "a", 2, "b"),
        ("segment", "outer", 2, "b"),
        ("segment", "inner", 3, "outer"),
    ]
    assert {item["environment"] for item in items} == {"staging"}
    assert items[-1]["name"] == "Inside"
    assert items[-1]["through"] == {"kind": "segment", "key": "outer"}


async def test_dependents_are_followed_to_their_end(chain: httpx.AsyncClient) -> None:
    items = await listed(chain, "a/dependents?environment=staging")
    assert short(items) == [("flag", "b", 1, None), ("flag", "checkout", 2, "b")]
    assert await listed(chain, "a/dependents?environment=production") == []
    assert await listed(chain, "checkout/dependents") == []


async def test_archived_flags_are_told_apart(chain: httpx.AsyncClient) -> None:
    await chain.post(f"{PROJECT}/flags/checkout/archive")
    items = await listed(chain, "b/dependents")
    assert [(item["key"], item["archived"]) for item in items] == [("checkout", True)]


async def test_a_place_that_is_not_there_is_named(chain: httpx.AsyncClient) -> None:
    path = f"{PROJECT}/flags/checkout/dependencies"
    refused = await chain.get(f"{path}?environment=nowhere")
    assert "'nowhere'" in problem(refused, 404, "not-found")["detail"]
    problem(await chain.get(f"{PROJECT}/flags/none/dependents"), 404, "not-found")
