"""Flags in one environment over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.support.api import FLAG, PROJECT, SETTINGS, created, problem

RULE: dict[str, Any] = {
    "name": "US",
    "when": {"attribute": "country", "op": "in", "values": ["US"]},
    "serve": {"variation": "on"},
}


async def test_rules_are_added_changed_reordered_and_removed(demo: httpx.AsyncClient) -> None:
    first = await created(demo, f"{SETTINGS}/rules", RULE)
    second = await created(demo, f"{SETTINGS}/rules", {**RULE, "id": "ca", "position": 0})
    address = first.headers["location"]
    assert second.headers["location"] == f"{SETTINGS}/rules/ca"
    read = (await demo.get(address)).json()
    assert read == {**RULE, "id": address.rsplit("/", 1)[1]}

    changed = await demo.put(address, json={**read, "name": "United States"})
    assert changed.status_code == 200, changed.text
    listed = (await demo.get(f"{SETTINGS}/rules")).json()
    assert [rule["name"] for rule in listed["items"]] == ["US", "United States"]
    assert listed["nextCursor"] is None

    order = [read["id"], "ca"]
    assert (await demo.put(f"{SETTINGS}/rules", json={"order": order})).status_code == 200
    rules = (await demo.get(SETTINGS)).json()["rules"]
    assert [rule["id"] for rule in rules] == order

    assert (await demo.delete(f"{SETTINGS}/rules/ca")).status_code == 200
    problem(await demo.get(f"{SETTINGS}/rules/ca"), 404, "not-found")
    problem(await demo.delete(f"{SETTINGS}/rules/ca"), 404, "not-found")


async def test_a_rule_keeps_its_id_when_it_is_changed(demo: httpx.AsyncClient) -> None:
    await created(demo, f"{SETTINGS}/rules", {**RULE, "id": "us"})
    refused = await demo.put(f"{SETTINGS}/rules/us", json={**RULE, "id": "other"})
    assert problem(refused, 422, "malformed")["errors"][0]["path"] == "/id"


async def test_a_repeated_addition_answers_the_address_of_the_first(
    demo: httpx.AsyncClient,
) -> None:
    key = {"idempotency-key": "add-us"}
    first = await demo.post(f"{SETTINGS}/rules", json=RULE, headers=key)
    again = await demo.post(f"{SETTINGS}/rules", json=RULE, headers=key)
    assert first.headers["location"] == again.headers["location"]
    assert (first.json()["replayed"], again.json()["replayed"]) == (False, True)
    assert len((await demo.get(f"{SETTINGS}/rules")).json()["items"]) == 1


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"serve": {"variation": "gone"}}, "/serve/variation"),
        ({"when": {"attribute": "a", "op": "like", "values": []}}, "/when/op"),
        ({"colour": "red"}, "/colour"),
        ({"when": {"attribute": "a", "op": "matches", "values": ["("]}}, "/when/values/0"),
    ],
)
async def test_a_fault_of_a_rule_is_named_in_the_body_that_was_sent(
    demo: httpx.AsyncClient, change: dict[str, Any], path: str
) -> None:
    refused = await demo.post(f"{SETTINGS}/rules", json={**RULE, **change})
    errors = problem(refused, 422, "invalid-command")["errors"]
    assert path in [error["path"] for error in errors]


async def test_a_missing_part_of_a_rule_is_named(demo: httpx.AsyncClient) -> None:
    refused = await demo.post(f"{SETTINGS}/rules", json={"name": "no conditions"})
    (error,) = problem(refused, 422, "invalid-command")["errors"]
    assert error["path"] == "/when"


@pytest.mark.parametrize(
    ("part", "body"),
    [
        ("targets", {"targets": [{"variation": "on", "keys": ["alice"]}]}),
        ("fallthrough", {"variation": "off"}),
        ("off-variation", {"offVariation": "on"}),
        ("prerequisites", {"prerequisites": [{"flag": "other", "variations": ["on"]}]}),
        ("expiry", {"expiresAt": "2031-01-01T00:00:00Z"}),
        ("exposure-tracking", {"enabled": True}),
    ],
)
async def test_what_was_written_is_what_is_read(
    demo: httpx.AsyncClient, part: str, body: dict[str, Any]
) -> None:
    await created(demo, f"{PROJECT}/flags", {"key": "other"})
    written = await demo.put(f"{SETTINGS}/{part}", json=body)
    assert written.status_code == 200, written.text
    read = await demo.get(f"{SETTINGS}/{part}")
    assert read.json() == body
    assert read.headers["etag"] == written.headers["etag"] == '"1"'
    again = await demo.put(f"{SETTINGS}/{part}", json=read.json())
    assert again.json()["events"] == []


async def test_an_expiry_is_cleared(demo: httpx.AsyncClient) -> None:
    await demo.put(f"{SETTINGS}/expiry", json={"expiresAt": "2031-01-01T00:00:00Z"})
    assert (await demo.delete(f"{SETTINGS}/expiry")).status_code == 200
    assert (await demo.get(f"{SETTINGS}/expiry")).json() == {"expiresAt": None}


async def test_a_circle_of_prerequisites_is_a_conflict_that_shows_it(
    demo: httpx.AsyncClient,
) -> None:
    await created(demo, f"{PROJECT}/flags", {"key": "other"})
    needs_other = {"prerequisites": [{"flag": "other", "variations": ["on"]}]}
    needs_checkout = {"prerequisites": [{"flag": "checkout", "variations": ["on"]}]}
    await demo.put(f"{SETTINGS}/prerequisites", json=needs_other)
    other = f"{PROJECT}/flags/other/environments/development/prerequisites"
    refused = await demo.put(other, json=needs_checkout)
    assert set(problem(refused, 409, "would-cycle")["keys"]) == {"other", "checkout"}


async def test_unknown_flags_environments_and_projects_are_not_found(
    demo: httpx.AsyncClient,
) -> None:
    for path in (
        f"{PROJECT}/flags/none/environments/development",
        f"{FLAG}/environments/none",
        "/api/v1/projects/none/flags/checkout/environments/development",
    ):
        problem(await demo.get(path), 404, "not-found")
        problem(await demo.post(f"{path}/enable"), 404, "not-found")


async def test_a_past_state_is_read_at_a_seq_and_at_a_time(demo: httpx.AsyncClient) -> None:
    before = (await demo.get(SETTINGS)).headers["halyard-seq"]
    enabled = (await demo.post(f"{SETTINGS}/enable")).json()
    disabled = await demo.post(f"{SETTINGS}/disable")
    assert (await demo.get(SETTINGS, params={"at": before})).json()["enabled"] is False
    then = await demo.get(SETTINGS, params={"at": enabled["seq"]})
    assert then.json()["enabled"] is True
    assert then.headers["halyard-seq"] == str(enabled["seq"])
    at = (await demo.get(f"{FLAG}/history")).json()["items"][1]["recordedAt"]
    assert (await demo.get(SETTINGS, params={"at": at})).json()["enabled"] is True
    assert disabled.json()["revision"] == 2


async def test_a_moment_before_the_flag_or_beyond_the_log_is_refused(
    demo: httpx.AsyncClient,
) -> None:
    problem(await demo.get(f"{FLAG}?at=1"), 404, "not-found")
    problem(await demo.get(f"{FLAG}?at=2020-01-01T00:00:00Z"), 404, "not-found")
    for at in ("9999", "yesterday", "2020-01-01T00:00:00", "2020-13-01T00:00:00Z"):
        refused = await demo.get(FLAG, params={"at": at})
        assert problem(refused, 422, "malformed")["errors"][0]["path"] == "?at"


async def test_a_rule_is_edited_field_by_field(demo: httpx.AsyncClient) -> None:
    rule = {"when": {"op": "in", "attribute": "country", "values": ["DE"]}, "name": "Germany"}
    made = await created(demo, f"{SETTINGS}/rules", rule | {"serve": {"variation": "on"}})
    path = made.headers["location"]
    before = (await demo.get(path)).json()
    answer = await demo.patch(path, json={"enabled": False, "comment": "not yet"})
    assert [event["type"] for event in answer.json()["events"]] == ["RuleChanged"]
    assert (await demo.get(path)).json() == before | {"enabled": False}
    when = {"any": [rule["when"], {"op": "exists", "attribute": "beta"}]}
    await asyncio.gather(
        demo.patch(path, json={"when": when}), demo.patch(path, json={"name": "Some"})
    )
    assert (await demo.get(path)).json() == before | {
        "enabled": False, "when": when, "name": "Some",
    }  # fmt: skip
    assert (await demo.patch(path, json={"name": "Some"})).json()["events"] == []


async def test_an_edit_of_a_rule_names_what_is_wrong(demo: httpx.AsyncClient) -> None:
    rule = {"when": {"all": []}, "serve": {"variation": "on"}}
    path = (await created(demo, f"{SETTINGS}/rules", rule)).headers["location"]
    for body, kind, at in (
        ({}, "malformed", ""),
        ({"colour": "red"}, "malformed", "/colour"),
        ({"id": "other"}, "malformed", "/id"),
        ({"serve": {"variation": "maybe"}}, "invalid-command", "/serve/variation"),
        ({"when": {"op": "never"}}, "invalid-command", "/when/op"),
    ):
        (error,) = problem(await demo.patch(path, json=body), 422, kind)["errors"]
        assert error["path"] == at
    stale = await demo.patch(path, json={"name": "x"}, headers={"if-match": '"9"'})
    problem(stale, 412, "stale-revision")
    problem(await demo.patch(f"{SETTINGS}/rules/none", json={"name": "x"}), 404, "not-found")


async def test_an_expiry_is_put_back_as_it_was_read(demo: httpx.AsyncClient) -> None:
    never = (await demo.get(f"{SETTINGS}/expiry")).json()
    assert never == {"expiresAt": None}
    assert (await demo.put(f"{SETTINGS}/expiry", json=never)).json()["events"] == []
    await demo.put(f"{SETTINGS}/expiry", json={"expiresAt": "2030-01-01T00:00:00Z"})
    answer = await demo.put(f"{SETTINGS}/expiry", json=never | {"comment": "for ever"})
    assert [event["type"] for event in answer.json()["events"]] == ["ExpiryCleared"]
    (error,) = problem(await demo.put(f"{SETTINGS}/expiry", json={}), 422, "invalid-command")[
        "errors"
    ]
    assert error["path"] == "/expiresAt"
