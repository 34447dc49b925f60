"""What differs between two moments, over HTTP."""

from __future__ import annotations

from typing import Any

import httpx

from tests.support.api import FLAG, PROJECT, SETTINGS, created, problem


async def seq_of(api: httpx.AsyncClient) -> int:
    return int((await api.get(PROJECT)).json()["seq"])


def told(body: dict[str, Any]) -> list[tuple[str | None, str, str]]:
    return [(each["entity"]["environment"], each["kind"], each["path"]) for each in body["changes"]]


async def test_a_flag_differs_by_its_definition_and_by_each_environment(
    demo: httpx.AsyncClient,
) -> None:
    before = await seq_of(demo)
    await demo.post(f"{SETTINGS}/enable")
    await demo.patch(FLAG, json={"name": "Checkout", "tags": ["shop"]})
    difference = (await demo.get(f"{FLAG}/diff?from={before}")).json()
    assert (difference["from"], difference["to"]) == (before, before + 3)
    assert told(difference) == [
        (None, "changed", "/name"),
        (None, "added", "/tags/shop"),
        ("development", "changed", "/enabled"),
    ]
    assert difference["changes"][0]["before"] == "New checkout"
    assert difference["changes"][0]["after"] == "Checkout"
    back = (await demo.get(f"{FLAG}/diff?from={before + 3}&to={before}")).json()
    assert back["changes"][0]["after"] == "New checkout"


async def test_moments_may_be_times(demo: httpx.AsyncClient) -> None:
    await demo.post(f"{SETTINGS}/enable")
    newest = (await demo.get(f"{PROJECT}/events?limit=1")).json()["items"][0]
    query = f"from={newest['seq'] - 1}&to={newest['recordedAt']}"
    assert len((await demo.get(f"{FLAG}/diff?{query}")).json()["changes"]) == 1


async def test_a_segment_that_is_gone_differs_as_a_whole(demo: httpx.AsyncClient) -> None:
    segment = f"{PROJECT}/segments/beta"
    await created(demo, f"{PROJECT}/segments", {"key": "beta"})
    was = await seq_of(demo)
    await demo.delete(segment)
    [change] = (await demo.get(f"{segment}/diff?from={was}")).json()["changes"]
    assert (change["kind"], change["path"], change["before"]["key"]) == ("removed", "", "beta")


async def test_a_whole_project_is_compared_page_by_page(demo: httpx.AsyncClient) -> None:
    before = await seq_of(demo)
    for key in ("one", "two"):
        await created(demo, f"{PROJECT}/flags", {"key": key})
    await demo.post(f"{SETTINGS}/enable")
    found, query = [], f"from={before}&limit=2"
    page = (await demo.get(f"{PROJECT}/diff?{query}")).json()
    await demo.post(f"{SETTINGS}/disable")  # does not move what the next pages compare
    while True:
        found += [(e["entity"]["key"], e["entity"]["environment"]) for e in page["items"]]
        if page["nextCursor"] is None:
            break
        page = (await demo.get(f"{PROJECT}/diff?{query}&cursor={page['nextCursor']}")).json()
    environments = (None, "development", "production", "staging")
    assert found == [("checkout", "development")] + [
        (key, environment) for key in ("one", "two") for environment in environments
    ]


async def test_two_moments_that_are_the_same_have_no_difference(demo: httpx.AsyncClient) -> None:
    assert (await demo.get(f"{FLAG}/diff?from=5&to=5")).json()["changes"] == []
    assert (await demo.get(f"{PROJECT}/diff?from=5&to=5")).json()["items"] == []


async def test_what_is_asked_must_have_been(demo: httpx.AsyncClient) -> None:
    missing = await demo.get(f"{FLAG}/diff")
    assert problem(missing, 422, "malformed")["errors"][0]["path"] == "?from"
    future = await demo.get(f"{FLAG}/diff?from=1&to=99")
    assert problem(future, 422, "malformed")["errors"][0]["path"] == "?to"
    problem(await demo.get(f"{PROJECT}/flags/none/diff?from=1"), 404, "not-found")
    problem(await demo.get("/api/v1/projects/none/diff?from=1"), 404, "not-found")
    problem(await demo.get(f"{PROJECT}/diff?from=1&cursor=eA"), 422, "malformed")
