"""Projects, environments and SDK keys over HTTP."""

from __future__ import annotations

import hashlib

import httpx
import pytest

from server.http.dependencies import Dependencies
from tests.support.api import PROJECT, SETTINGS, created, problem

DEVELOPMENT = f"{PROJECT}/environments/development"


async def test_a_new_project_has_the_usual_environments_and_production_is_protected(
    api: httpx.AsyncClient,
) -> None:
    response = await created(api, "/api/v1/projects", {"key": "shop", "name": "Shop"})
    assert response.headers["location"] == "/api/v1/projects/shop"
    project = (await api.get("/api/v1/projects/shop")).json()
    assert project["environments"] == ["development", "production", "staging"]
    assert project["name"] == "Shop"
    environments = (await api.get("/api/v1/projects/shop/environments")).json()["items"]
    assert [row["key"] for row in environments if row["protected"]] == ["production"]


async def test_a_project_may_name_its_own_environments(api: httpx.AsyncClient) -> None:
    body = {"key": "shop", "environments": [{"key": "live", "name": "Live", "protected": True}]}
    await created(api, "/api/v1/projects", body)
    (live,) = (await api.get("/api/v1/projects/shop/environments")).json()["items"]
    assert (live["key"], live["name"], live["protected"]) == ("live", "Live", True)
    body = {"key": "other", "environments": [{"key": "no key"}]}
    refused = await api.post("/api/v1/projects", json=body)
    (error,) = problem(refused, 422, "invalid-command")["errors"]
    assert error["path"] == "/environments/0/key"


async def test_projects_are_listed_searched_renamed_and_deleted(demo: httpx.AsyncClient) -> None:
    await created(demo, "/api/v1/projects", {"key": "shop", "name": "Web shop"})
    listed = (await demo.get("/api/v1/projects")).json()
    assert [(row["key"], row["name"]) for row in listed["items"]] == [
        ("demo", "Demo"),
        ("shop", "Web shop"),
    ]
    found = (await demo.get("/api/v1/projects?search=web")).json()["items"]
    assert [row["key"] for row in found] == ["shop"]
    assert (await demo.patch(PROJECT, json={"name": "Demonstration"})).status_code == 200
    assert (await demo.get(PROJECT)).json()["name"] == "Demonstration"
    assert (await demo.delete(PROJECT)).status_code == 200
    problem(await demo.get(PROJECT), 404, "not-found")
    assert len((await demo.get("/api/v1/projects")).json()["items"]) == 1
    ended = (await demo.get(f"{PROJECT}/events?limit=1")).json()["items"]
    assert ended[0]["type"] == "ProjectDeleted"


async def test_the_installation_is_not_a_project(demo: httpx.AsyncClient) -> None:
    for path in ("$system", "$system/flags", "$system/events"):
        problem(await demo.get(f"/api/v1/projects/{path}"), 404, "not-found")
    command = {"type": "DeleteProject"}
    refused = await demo.post("/api/v1/projects/$system/commands", json=command)
    problem(refused, 404, "not-found")


async def test_environments_are_created_edited_protected_and_deleted(
    demo: httpx.AsyncClient,
) -> None:
    created_at = await created(demo, f"{PROJECT}/environments", {"key": "qa", "name": "QA"})
    address = created_at.headers["location"]
    edit = {"name": "Quality", "attributes": {"region": "eu"}, "protected": True}
    assert (await demo.patch(address, json=edit)).status_code == 200
    row = (await demo.get(address)).json()
    assert {field: row[field] for field in edit} == edit
    await demo.post(f"{address}/unprotect")
    assert (await demo.get(address)).json()["protected"] is False
    await demo.post(f"{address}/protect")
    assert (await demo.get(address)).json()["protected"] is True
    refused = await demo.patch(address, json={"protected": "yes"})
    assert problem(refused, 422, "invalid-command")["errors"][0]["path"] == "/protected"
    assert (await demo.delete(address)).status_code == 200
    problem(await demo.get(address), 404, "not-found")


async def test_a_server_key_is_shown_once_and_kept_as_a_hash(
    demo: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    headers = {"idempotency-key": "k"}
    response = await demo.post(f"{DEVELOPMENT}/keys", json={"name": "web"}, headers=headers)
    assert response.status_code == 201, response.text
    issued = response.json()
    environment_id = (await demo.get(DEVELOPMENT)).json()["id"]
    assert issued["secret"].startswith(f"{environment_id}-s-")
    state = (await dependencies.writers.state("demo")).state
    stored = state.keys[issued["id"], "development"]
    assert stored.sha256 == hashlib.sha256(issued["secret"].encode()).hexdigest()
    assert issued["secret"] not in (await demo.get(response.headers["location"])).text

    again = await demo.post(f"{DEVELOPMENT}/keys", json={"name": "web"}, headers=headers)
    assert (again.json()["secret"], again.json()["id"]) == (None, issued["id"])


async def test_a_client_key_is_public(demo: httpx.AsyncClient) -> None:
    body = {"kind": "client", "name": "app"}
    issued = (await created(demo, f"{DEVELOPMENT}/keys", body)).json()
    (listed,) = (await demo.get(f"{DEVELOPMENT}/keys?kind=client")).json()["items"]
    assert listed["clientKey"] == issued["secret"]


async def test_a_revoked_key_is_listed_as_revoked(demo: httpx.AsyncClient) -> None:
    issued = await created(demo, f"{DEVELOPMENT}/keys", {})
    assert (await demo.delete(issued.headers["location"])).status_code == 200
    (revoked,) = (await demo.get(f"{DEVELOPMENT}/keys?revoked=true")).json()["items"]
    assert revoked["revokedAt"]
    assert (await demo.get(f"{DEVELOPMENT}/keys?revoked=false")).json()["items"] == []


async def test_only_the_server_draws_keys(demo: httpx.AsyncClient) -> None:
    refused = await demo.post(f"{DEVELOPMENT}/keys", json={"sha256": "0" * 64})
    assert problem(refused, 422, "malformed")["errors"][0]["path"] == "/sha256"
    missing = f"{PROJECT}/environments/none/keys"
    problem(await demo.post(missing, json={}), 404, "not-found")


async def test_no_project_takes_the_name_of_the_installations_log(api: httpx.AsyncClient) -> None:
    answer = await api.post("/api/v1/projects", json={"key": "$system"})
    found = problem(answer, 422, "invalid-command")
    assert [each["path"] for each in found["errors"]] == ["/key"]


@pytest.mark.parametrize(
    "query",
    [
        "events?after=99999999999999999999999",
        "flags?at=0001-01-01T00:00:00%2B14:00",
        "flags?at=99999999999999999999999",
        "flags?minSeq=99999999999999999999999",
        "events?since=0001-01-01T00:00:00%2B14:00",
        "events?until=9999-12-31T23:59:59-14:00",
        "events?cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk",
    ],
)
async def test_values_beyond_all_bounds_are_the_callers_fault(
    demo: httpx.AsyncClient, query: str
) -> None:
    answer = await demo.get(f"{PROJECT}/{query}")
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("at", ["0", "2020-01-01T00:00:00%2B00:00"])
async def test_a_project_that_had_not_begun_is_said_to_have_been_none_then(
    demo: httpx.AsyncClient, at: str
) -> None:
    found = problem(await demo.get(f"{PROJECT}/flags?at={at}"), 404, "not-found")
    then = "seq 0" if at == "0" else "2020-01-01T00:00:00+00:00"
    assert found["detail"] == f"there was no project 'demo' at {then}"


async def test_an_expiry_is_answered_in_utc(demo: httpx.AsyncClient) -> None:
    at = {"expiresAt": "2030-01-01T00:00:00+02:00"}
    assert (await demo.put(f"{SETTINGS}/expiry", json=at)).status_code == 200
    read = (await demo.get(f"{SETTINGS}/expiry")).json()
    assert read["expiresAt"] == "2029-12-31T22:00:00Z"
    at = {"expiresAt": "0001-01-01T00:00:00+14:00"}
    problem(await demo.put(f"{SETTINGS}/expiry", json=at), 422, "invalid-command")


async def test_a_health_check_may_carry_any_query(api: httpx.AsyncClient) -> None:
    assert (await api.get("/healthz?cache=1")).status_code == 200


async def test_the_origins_of_a_client_key_are_named_and_set(demo: httpx.AsyncClient) -> None:
    body = {"kind": "client", "origins": ["HTTPS://shop.example:443"]}
    issued = await created(demo, f"{DEVELOPMENT}/keys", body)
    address = issued.headers["location"]
    assert (await demo.get(address)).json()["origins"] == ["https://shop.example"]
    wanted = ["https://*.shop.example", "capacitor://localhost"]
    answer = await demo.put(f"{address}/origins", json={"origins": wanted})
    assert answer.json()["events"][0]["type"] == "SdkKeyOriginsSet"
    (listed,) = (await demo.get(f"{DEVELOPMENT}/keys?kind=client")).json()["items"]
    assert (listed["origins"], listed["revision"]) == (wanted, 2)
    stale = await demo.put(
        f"{address}/origins", json={"origins": []}, headers={"if-match": issued.headers["etag"]}
    )
    problem(stale, 412, "stale-revision")


async def test_an_origin_that_is_none_is_refused_by_its_place(demo: httpx.AsyncClient) -> None:
    body = {"kind": "client", "origins": ["https://shop.example", "https://shop.example/cart"]}
    refused = await demo.post(f"{DEVELOPMENT}/keys", json=body)
    assert problem(refused, 422, "invalid-command")["errors"][0]["path"] == "/origins/1"
    server = await created(demo, f"{DEVELOPMENT}/keys", {})
    address = f"{server.headers['location']}/origins"
    refused = await demo.put(address, json={"origins": ["https://shop.example"]})
    assert problem(refused, 422, "invalid-command")["errors"][0]["path"] == "/origins"
    problem(await demo.put(address, json={}), 422, "invalid-command")
    await demo.delete(server.headers["location"])
    client = await created(demo, f"{DEVELOPMENT}/keys", {"kind": "client"})
    await demo.delete(client.headers["location"])
    revoked = await demo.put(f"{client.headers['location']}/origins", json={"origins": []})
    problem(revoked, 409, "revoked")


async def test_where_there_is_no_project_yet_no_approval_is_bypassed(
    api: httpx.AsyncClient,
) -> None:
    begun = await api.post("/api/v1/projects?bypassApproval=true", json={"key": "new", "name": "N"})
    assert begun.status_code == 201, begun.text
    assert (await api.get("/api/v1/projects/new")).status_code == 200
    missing = await api.post("/api/v1/projects/none/flags?bypassApproval=true", json={"key": "a"})
    problem(missing, 404, "not-found")
