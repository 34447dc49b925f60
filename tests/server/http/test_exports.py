"""A project as one document: complete, without secrets, the same for the same project."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
import yaml

from tests.support.api import FLAG, PROJECT, SETTINGS, created, problem

EXPORT = f"{PROJECT}/export"


async def exported(api: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    response = await api.get(EXPORT, params=query)
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


async def test_it_says_what_is_there(demo: httpx.AsyncClient) -> None:
    await demo.post(f"{SETTINGS}/enable")
    await created(demo, f"{PROJECT}/segments", {"key": "beta", "name": "Beta"})
    document = await exported(demo)
    assert document["version"] == 1
    assert document["project"] == {"key": "demo", "name": "Demo"}
    assert [each["key"] for each in document["environments"]] == [
        "development", "production", "staging",
    ]  # fmt: skip
    (flag,) = document["flags"]
    assert flag["key"] == "checkout"
    assert flag["environments"]["development"]["enabled"] is True
    assert "enabled" not in flag["environments"]["production"]
    assert [each["key"] for each in document["segments"]] == ["beta"]


async def test_no_key_and_no_secret_is_in_it(demo: httpx.AsyncClient) -> None:
    keys = f"{PROJECT}/environments/development/keys"
    issued = [(await created(demo, keys, {"kind": kind})).json() for kind in ("server", "client")]
    text = (await demo.get(EXPORT)).text
    for each in issued:
        assert each["id"] not in text
        assert each["secret"] not in text
    assert "sha256" not in text
    environment = (await demo.get(f"{PROJECT}/environments/development")).json()
    assert environment["id"] not in text


async def test_it_can_be_asked_for_as_it_was(demo: httpx.AsyncClient) -> None:
    seq = (await demo.get(PROJECT)).json()["seq"]
    await demo.patch(FLAG, json={"name": "Other"})
    then = await demo.get(EXPORT, params={"at": seq})
    assert then.headers["halyard-seq"] == str(seq)
    assert then.json()["flags"][0]["name"] == "New checkout"
    assert (await exported(demo))["flags"][0]["name"] == "Other"


async def test_its_lines_are_for_a_repository(demo: httpx.AsyncClient) -> None:
    await created(demo, f"{PROJECT}/segments", {"key": "beta"})
    members = f"{PROJECT}/segments/beta/members"
    await demo.post(members, json={"keys": ["cat", "ann"]})
    one = (await demo.get(EXPORT)).text
    await demo.request("DELETE", members, json={"keys": ["ann"]})
    await demo.post(members, json={"keys": ["ann"]})
    assert (await demo.get(EXPORT)).text == one
    assert one.count("\n") > 30
    assert one.endswith("}\n")


async def test_yaml_says_the_same(demo: httpx.AsyncClient) -> None:
    response = await demo.get(EXPORT, params={"format": "yaml"})
    assert response.headers["content-type"] == "application/yaml"
    assert response.headers["content-disposition"] == 'attachment; filename="demo.yaml"'
    assert yaml.safe_load(response.text) == await exported(demo)
    assert json.loads((await demo.get(EXPORT)).text) == await exported(demo)


@pytest.mark.parametrize("query", ["format=xml", "format=", "secrets=true"])
async def test_what_is_not_known_is_refused(demo: httpx.AsyncClient, query: str) -> None:
    problem(await demo.get(f"{EXPORT}?{query}"), 422, "malformed")


async def test_a_project_that_is_not_there_has_no_document(api: httpx.AsyncClient) -> None:
    problem(await api.get(EXPORT), 404, "not-found")
