"""What is enabled for a user, and a switch, as people of other systems ask for it."""

from __future__ import annotations

from typing import Any

import httpx

from server.http.dependencies import Dependencies
from tests.support.api import FLAG, PROJECT, SETTINGS, client_of, created, problem
from tests.support.serving import Installation

FLAGS = "/api/v1/feature-flags"
PLACE = {"project": "demo", "environment": "development"}


async def enabled(api: httpx.AsyncClient, **query: Any) -> dict[str, dict[str, Any]]:
    response = await api.get(FLAGS, params={**PLACE, "user": "ann", **query})
    assert response.status_code == 200, response.text
    assert response.json()["nextCursor"] is None
    return {item["flag"]: item for item in response.json()["items"]}


async def test_flags_are_listed_that_are_on_and_true_for_the_user(demo: httpx.AsyncClient) -> None:
    colours = [{"key": "red", "value": "#f00"}, {"key": "grey", "value": "#888"}]
    colour = {"key": "colour", "type": "string", "variations": colours}
    await created(demo, f"{PROJECT}/flags", colour)
    await created(demo, f"{PROJECT}/flags", {"key": "idle"})
    assert await enabled(demo) == {}
    await demo.post(f"{SETTINGS}/enable")
    await demo.post(f"{PROJECT}/flags/colour/environments/development/enable")
    found = await enabled(demo)
    assert list(found) == ["checkout", "colour"]
    assert found["colour"]["value"] == "#f00"
    assert found["checkout"]["reason"] == {"kind": "FALLTHROUGH"}
    targets = [{"variation": "off", "keys": ["ann"]}]
    await demo.put(f"{SETTINGS}/targets", json={"targets": targets})
    assert list(await enabled(demo)) == ["colour"]
    assert list(await enabled(demo, user="bob")) == ["checkout", "colour"]


async def test_a_list_of_the_past_and_one_that_waits_are_as_everywhere(
    demo: httpx.AsyncClient,
) -> None:
    answer = (await demo.post(f"{SETTINGS}/enable")).json()
    assert list(await enabled(demo, minSeq=answer["seq"])) == ["checkout"]
    assert await enabled(demo, at=answer["seq"] - 1) == {}


async def test_a_place_must_be_named_by_an_account(demo: httpx.AsyncClient) -> None:
    errors = problem(await demo.get(f"{FLAGS}?user=ann"), 422, "malformed")["errors"]
    assert [error["path"] for error in errors] == ["?project", "?environment"]
    nowhere = await demo.get(FLAGS, params={**PLACE, "environment": "moon", "user": "ann"})
    problem(nowhere, 404, "not-found")
    (error,) = problem(await demo.get(FLAGS, params=PLACE), 422, "malformed")["errors"]
    assert error["path"] == "?user"


async def test_a_key_says_where_and_a_client_key_sees_what_is_marked(
    halyard: Installation,
) -> None:
    await created(halyard.api, f"{PROJECT}/flags", {"key": "banner", "clientSide": True})
    await halyard.api.post(f"{SETTINGS}/enable")
    place = f"{PROJECT}/flags/banner/environments/development/enable"
    await halyard.reached((await halyard.api.post(place)).json()["seq"])

    async def keys(key: str) -> list[str]:
        headers = {"authorization": f"Bearer {key}"}
        answer = await halyard.api.get(f"{FLAGS}?user=ann", headers=headers)
        return [item["flag"] for item in answer.json()["items"]]

    assert await keys(halyard.server_key) == ["banner", "checkout"]
    assert await keys(halyard.client_key) == ["banner"]
    headers = {"authorization": f"Bearer {halyard.server_key}"}
    refused = await halyard.api.get(f"{FLAGS}?user=ann&project=demo", headers=headers)
    assert problem(refused, 422, "malformed")["errors"][0]["path"] == "?project"
    body = PLACE | {"enabled": False}
    problem(
        await halyard.api.patch(f"{FLAGS}/checkout", json=body, headers=headers),
        401,
        "unauthenticated",
    )


async def test_a_switch_is_a_write_like_any_other(demo: httpx.AsyncClient) -> None:
    path = f"{FLAGS}/checkout"
    answer = await demo.patch(path, params=PLACE, json={"enabled": True, "comment": "go"})
    assert [event["type"] for event in answer.json()["events"]] == ["FlagEnabled"]
    assert answer.headers["etag"] == '"1"'
    (event,) = (await demo.get(f"{FLAG}/history?limit=1")).json()["items"]
    assert event["body"] == {"comment": "go"}
    off = PLACE | {"enabled": False}
    stale = await demo.patch(path, json=off, headers={"if-match": '"0"'})
    assert problem(stale, 412, "stale-revision")["between"][0]["type"] == "FlagEnabled"
    headers = {"idempotency-key": "once"}
    first = (await demo.patch(path, json=off, headers=headers)).json()
    again = (await demo.patch(path, json=off, headers=headers)).json()
    assert again == first | {"replayed": True}
    assert (await demo.get(SETTINGS)).json()["enabled"] is False


async def test_a_switch_says_once_where(demo: httpx.AsyncClient) -> None:
    path = f"{FLAGS}/checkout"
    (error,) = problem(await demo.patch(path, json={"enabled": True}), 422, "malformed")["errors"]
    assert error["path"] == "?project"
    body = PLACE | {"enabled": True, "environment": "staging"}
    (error,) = problem(await demo.patch(path, params=PLACE, json=body), 422, "malformed")["errors"]
    assert error["path"] == "/environment"
    problem(await demo.patch(f"{FLAGS}/none", json=PLACE | {"enabled": True}), 404, "not-found")
    system = PLACE | {"project": "$system", "enabled": True}
    problem(await demo.patch(path, json=system), 404, "not-found")


async def test_who_may_not_write_may_not_switch(
    demo: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    async with client_of(dependencies, "viewer") as viewer:
        body = PLACE | {"enabled": True}
        problem(await viewer.patch(f"{FLAGS}/checkout", json=body), 403, "forbidden")
    assert (await demo.get(SETTINGS)).json()["enabled"] is False
