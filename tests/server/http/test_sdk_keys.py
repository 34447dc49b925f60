"""Rotating SDK keys over HTTP, and what both keys open meanwhile and afterwards."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from server.credentials import fingerprint
from tests.support.api import PROJECT, created, problem
from tests.support.serving import KEYS, Installation, served_soon

RULESET = "/sdk/v1/ruleset"
OFREP = "/ofrep/v1/evaluate/flags/checkout"


async def opens(halyard: Installation, key: str) -> tuple[int, int]:
    """What the ruleset and OFREP answer to a key."""
    headers = {"authorization": f"Bearer {key}"}
    ruleset = await halyard.api.get(RULESET, headers=headers)
    context = {"context": {"targetingKey": "ann"}}
    evaluated = await halyard.api.post(OFREP, headers=headers, json=context)
    return ruleset.status_code, evaluated.status_code


async def key(api: httpx.AsyncClient, key_id: str) -> Any:
    return (await api.get(f"{KEYS}/{key_id}")).json()


async def test_both_keys_open_everything_until_the_old_one_ends(halyard: Installation) -> None:
    path = f"{KEYS}/{halyard.key_id}"
    before = datetime.now(UTC)
    response = await created(halyard.api, f"{path}/rotate", {"overlapHours": 2})
    rotated = response.json()
    assert response.headers["location"] == f"{KEYS}/{rotated['id']}"
    assert (rotated["replaced"], rotated["kind"]) == (halyard.key_id, "server")
    ends = datetime.fromisoformat(rotated["replacedExpiresAt"])
    assert timedelta() <= ends - before - timedelta(hours=2) < timedelta(minutes=1)
    assert (await key(halyard.api, halyard.key_id))["expiresAt"] == rotated["replacedExpiresAt"]
    await served_soon(halyard.dependencies, rotated["secret"])
    for secret in (halyard.server_key, rotated["secret"]):
        assert await opens(halyard, secret) == (200, 200)

    soon = datetime.now(UTC) + timedelta(seconds=0.5)
    answer = await halyard.api.put(f"{path}/expiry", json={"expiresAt": soon.isoformat()})
    await halyard.reached(answer.json()["seq"])
    gateway = halyard.dependencies.gateway
    assert gateway is not None
    served, over = await gateway.serve_key(halyard.server_key, 5), asyncio.Event()
    unsubscribe = served.on_change(over.set)
    while served.live:
        await over.wait()
        over.clear()
    unsubscribe()
    assert await opens(halyard, halyard.server_key) == (401, 401)
    assert await opens(halyard, rotated["secret"]) == (200, 200)
    refused = await halyard.api.put(f"{path}/expiry", json={"expiresAt": None})
    assert problem(refused, 409, "revoked")


async def test_a_client_keys_successor_is_for_the_same_pages(demo: httpx.AsyncClient) -> None:
    origins = ["https://shop.example"]
    wish = {"kind": "client", "name": "web", "origins": origins}
    issued = (await created(demo, KEYS, wish)).json()
    rotated = (await created(demo, f"{KEYS}/{issued['id']}/rotate", {})).json()
    successor = await key(demo, rotated["id"])
    assert (successor["clientKey"], successor["origins"]) == (rotated["secret"], origins)
    assert (successor["name"], successor["expiresAt"]) == ("web", None)


async def test_a_repeat_issues_no_second_successor_and_does_not_show_the_secret(
    demo: httpx.AsyncClient,
) -> None:
    issued = (await created(demo, KEYS, {})).json()
    path, headers = f"{KEYS}/{issued['id']}/rotate", {"idempotency-key": "once"}
    first = (await demo.post(path, json={}, headers=headers)).json()
    again = (await demo.post(path, json={}, headers=headers)).json()
    assert (again["id"], again["secret"], again["replayed"]) == (first["id"], None, True)
    assert len((await demo.get(KEYS)).json()["items"]) == 2


async def test_no_event_and_no_list_has_a_server_keys_secret_or_its_hash(
    demo: httpx.AsyncClient,
) -> None:
    issued = (await created(demo, KEYS, {})).json()
    rotated = (await created(demo, f"{KEYS}/{issued['id']}/rotate", {})).json()
    log = (await demo.get(f"{PROJECT}/events?limit=100")).text
    for text in (log, (await demo.get(KEYS)).text):
        assert fingerprint(rotated["secret"]) not in text
        assert rotated["secret"] not in text
        assert issued["secret"] not in text


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"overlapHours": -1}, "/overlapHours"),
        ({"overlapHours": 2_161}, "/overlapHours"),
        ({"name": "n" * 300}, "/name"),
    ],
)
async def test_a_rotation_that_cannot_be_names_the_field(
    demo: httpx.AsyncClient, body: dict[str, Any], path: str
) -> None:
    issued = (await created(demo, KEYS, {})).json()
    refused = await demo.post(f"{KEYS}/{issued['id']}/rotate", json=body)
    assert problem(refused, 422, "invalid-command")["errors"][0]["path"] == path


@pytest.mark.parametrize("field", ["successor", "sha256", "clientKey"])
async def test_only_the_server_draws_a_successor(demo: httpx.AsyncClient, field: str) -> None:
    issued = (await created(demo, KEYS, {})).json()
    refused = await demo.post(f"{KEYS}/{issued['id']}/rotate", json={field: "f" * 64})
    assert problem(refused, 422, "malformed")["errors"][0]["path"] == f"/{field}"


async def test_a_key_that_is_not_there_is_not_rotated(demo: httpx.AsyncClient) -> None:
    assert problem(await demo.post(f"{KEYS}/nokey/rotate", json={}), 404, "not-found")
    elsewhere = f"{PROJECT}/environments/nowhere/keys/nokey/rotate"
    assert problem(await demo.post(elsewhere, json={}), 404, "not-found")


async def test_a_revoked_key_is_not_rotated(demo: httpx.AsyncClient) -> None:
    issued = (await created(demo, KEYS, {})).json()
    await demo.delete(f"{KEYS}/{issued['id']}")
    refused = await demo.post(f"{KEYS}/{issued['id']}/rotate", json={})
    assert problem(refused, 409, "revoked")
