"""Segments over HTTP."""

from __future__ import annotations

import httpx

from tests.support.api import PROJECT, SETTINGS, created, problem

BETA = f"{PROJECT}/segments/beta"


async def test_members_are_added_and_removed(demo: httpx.AsyncClient) -> None:
    response = await created(demo, f"{PROJECT}/segments", {"key": "beta", "name": "Beta"})
    assert response.headers["location"] == BETA
    await demo.post(f"{BETA}/members", json={"keys": ["alice", "bob"]})
    await demo.post(f"{BETA}/members", json={"keys": ["eve"], "members": "excluded"})
    await demo.post(f"{BETA}/members/remove", json={"keys": ["bob"]})
    members = (await demo.get(f"{BETA}/members")).json()
    assert members == {"included": [{"keys": ["alice"]}], "excluded": [{"keys": ["eve"]}]}
    (summary,) = (await demo.get(f"{PROJECT}/segments")).json()["items"]
    assert (summary["included"], summary["excluded"], summary["revision"]) == (1, 1, 4)


async def test_rules_are_set_as_a_whole_and_get_ids(demo: httpx.AsyncClient) -> None:
    await created(demo, f"{PROJECT}/segments", {"key": "beta"})
    rule = {"when": {"attribute": "plan", "op": "equals", "values": ["pro"]}, "weight": 50000}
    response = await demo.put(f"{BETA}/rules", json={"rules": [rule]})
    assert response.status_code == 200, response.text
    (read,) = (await demo.get(f"{BETA}/rules")).json()["items"]
    assert len(read.pop("id")) == 12
    assert read == rule


async def test_a_segment_is_edited_as_one_batch(demo: httpx.AsyncClient) -> None:
    await created(demo, f"{PROJECT}/segments", {"key": "beta"})
    edit = {"name": "Early", "description": "Those who like surprises"}
    assert len((await demo.patch(BETA, json=edit)).json()["events"]) == 2
    segment = (await demo.get(BETA)).json()
    assert (segment["name"], segment["description"]) == tuple(edit.values())


async def test_a_used_segment_is_not_deleted_and_the_answer_says_where_it_is_used(
    demo: httpx.AsyncClient,
) -> None:
    await created(demo, f"{PROJECT}/segments", {"key": "beta"})
    rule = {"when": {"op": "segment", "values": ["beta"]}, "serve": {"variation": "on"}}
    await created(demo, f"{SETTINGS}/rules", rule)
    body = problem(await demo.delete(BETA), 409, "still-in-use")
    (use,) = body["uses"]
    assert use["by"] == {"kind": "flag", "key": "checkout", "environment": "development"}
    assert use["part"]


async def test_segments_are_searched(demo: httpx.AsyncClient) -> None:
    await created(demo, f"{PROJECT}/segments", {"key": "beta", "description": "Early birds"})
    await created(demo, f"{PROJECT}/segments", {"key": "staff"})
    page = (await demo.get(f"{PROJECT}/segments?search=BIRDS")).json()
    assert [segment["key"] for segment in page["items"]] == ["beta"]


async def test_a_deleted_segment_is_gone(demo: httpx.AsyncClient) -> None:
    await created(demo, f"{PROJECT}/segments", {"key": "beta"})
    assert (await demo.delete(BETA)).status_code == 200
    problem(await demo.get(BETA), 404, "not-found")
