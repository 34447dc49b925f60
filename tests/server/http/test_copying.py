"""Settings copied from environment to environment, and flags cloned, over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.api import FLAG, PROJECT, SETTINGS, created, problem

COPY = f"{FLAG}/copy"
STAGING = f"{FLAG}/environments/staging"
BODY = {"from": "development", "to": "staging"}
RULE = {
    "when": {"op": "in", "attribute": "country", "values": ["DE"]},
    "serve": {"variation": "on"},
}


@pytest.fixture
async def set_up(demo: httpx.AsyncClient) -> httpx.AsyncClient:
    """Development is on, with a rule, a target and an expiry."""
    await created(demo, f"{SETTINGS}/rules", RULE)
    targets = {"targets": [{"variation": "on", "keys": ["ann"]}]}
    await demo.put(f"{SETTINGS}/targets", json=targets)
    await demo.put(f"{SETTINGS}/expiry", json={"expiresAt": "2030-01-01T00:00:00Z"})
    await demo.post(f"{SETTINGS}/enable")
    return demo


async def settings(api: httpx.AsyncClient, path: str) -> dict[str, Any]:
    answer = (await api.get(path)).json()
    return {name: answer[name] for name in answer if name not in ("environment", "updatedAt")}


async def test_who_gets_what_is_copied_but_not_whether_the_flag_is_on(
    set_up: httpx.AsyncClient,
) -> None:
    response = await set_up.post(COPY, json=BODY | {"comment": "as tried"})
    answer = response.json()
    assert [event["type"] for event in answer["events"]] == ["TargetsChanged", "RuleAdded"]
    assert sorted(change["path"].split("/")[1] for change in answer["changes"]) == [
        "rules",
        "targets",
    ]
    after, source = await settings(set_up, STAGING), await settings(set_up, SETTINGS)
    assert after["rules"] == source["rules"]
    assert after["targets"] == source["targets"]
    assert (after["enabled"], after["expiresAt"]) == (False, None)
    assert response.headers["etag"] == f'"{after["revision"]}"'
    again = (await set_up.post(COPY, json=BODY)).json()
    assert (again["events"], again["changes"]) == ([], [])


async def test_the_parts_that_are_named_are_copied_and_no_others(
    set_up: httpx.AsyncClient,
) -> None:
    body = BODY | {"parts": ["enabled", "expiry"]}
    answer = (await set_up.post(COPY, json=body)).json()
    assert [event["type"] for event in answer["events"]] == ["ExpirySet", "FlagEnabled"]
    after = await settings(set_up, STAGING)
    assert after["rules"] == []


async def test_a_dry_run_tells_what_would_change(set_up: httpx.AsyncClient) -> None:
    before = (await set_up.get(PROJECT)).json()["seq"]
    dry = (await set_up.post(COPY, json=BODY | {"dryRun": True})).json()
    assert (dry["dryRun"], dry["seq"]) == (True, before)
    assert (await settings(set_up, STAGING))["revision"] == 0
    done = (await set_up.post(COPY, json=BODY)).json()
    assert dry["changes"] == done["changes"]
    assert dry["revision"] == done["revision"]


async def test_a_copy_onto_what_changed_since_it_was_seen_is_refused(
    set_up: httpx.AsyncClient,
) -> None:
    await set_up.post(f"{STAGING}/enable")
    stale = await set_up.post(COPY, json=BODY, headers={"if-match": '"0"'})
    assert problem(stale, 412, "stale-revision")["actual"] == 1
    assert (await set_up.post(COPY, json=BODY, headers={"if-match": '"1"'})).status_code == 200


async def test_a_repeat_copies_once(set_up: httpx.AsyncClient) -> None:
    headers = {"idempotency-key": "once"}
    first = (await set_up.post(COPY, json=BODY, headers=headers)).json()
    await set_up.put(f"{SETTINGS}/targets", json={"targets": []})
    again = (await set_up.post(COPY, json=BODY, headers=headers)).json()
    assert (again["replayed"], again["events"]) == (True, first["events"])
    assert (await settings(set_up, STAGING))["targets"] != []


async def test_what_is_wrong_with_a_copy_is_named(set_up: httpx.AsyncClient) -> None:
    same = await set_up.post(COPY, json=BODY | {"to": "development"})
    assert problem(same, 422, "malformed")["errors"][0]["path"] == "/to"
    part = await set_up.post(COPY, json=BODY | {"parts": ["colour"]})
    assert problem(part, 422, "malformed")["errors"][0]["path"] == "/parts/0"
    problem(await set_up.post(COPY, json=BODY | {"to": "moon"}), 404, "not-found")
    problem(await set_up.post(COPY, json=BODY | {"from": "moon"}), 404, "not-found")
    problem(await set_up.post(f"{PROJECT}/flags/none/copy", json=BODY), 404, "not-found")
    await set_up.post(f"{FLAG}/archive")
    problem(await set_up.post(COPY, json=BODY), 409, "archived")


async def test_a_clone_is_the_same_but_for_its_key_and_its_shares(
    set_up: httpx.AsyncClient,
) -> None:
    await set_up.patch(FLAG, json={"tags": ["web"], "description": "Why", "clientSide": True})
    response = await created(set_up, f"{FLAG}/clone", {"key": "checkout-2", "name": "Second"})
    path = response.headers["location"]
    assert path == f"{PROJECT}/flags/checkout-2"
    own = ("key", "name", "revision", "createdAt", "updatedAt", "changedAt", "environments")
    one, other = (await set_up.get(FLAG)).json(), (await set_up.get(path)).json()
    assert {name: one[name] for name in one if name not in own} == {
        name: other[name] for name in other if name not in own
    }
    assert other["name"] == "Second"
    for environment in ("development", "staging"):
        copied = await settings(set_up, f"{path}/environments/{environment}")
        source = await settings(set_up, f"{FLAG}/environments/{environment}")
        assert copied | {"flag": "", "revision": 0} == source | {"flag": "", "revision": 0}
    problem(await set_up.post(f"{FLAG}/clone", json={"key": "checkout-2"}), 409, "key-taken")
