"""Settings of the installation: read, changed, and used."""

from __future__ import annotations

import httpx

from tests.support.api import created, problem

SETTINGS = "/api/v1/settings"


async def test_every_setting_is_named_also_those_that_nobody_changed(
    api: httpx.AsyncClient,
) -> None:
    response = await api.get(SETTINGS)
    settings = response.json()
    assert (settings["name"], settings["registration"]) == ("Halyard", "closed")
    assert settings["passwordMinLength"] == 12
    assert response.headers["etag"] == '"0"'


async def test_what_is_named_is_changed_and_the_rest_stays(api: httpx.AsyncClient) -> None:
    changed = await api.patch(SETTINGS, json={"name": "Flags of the shop"})
    assert changed.json()["events"][0]["type"] == "SettingsChanged"
    response = await api.get(SETTINGS)
    assert response.json()["name"] == "Flags of the shop"
    assert response.json()["sessionDays"] == 30
    stale = await api.patch(SETTINGS, json={"name": "B"}, headers={"if-match": '"0"'})
    problem(stale, 412, "stale-revision")


async def test_what_cannot_be_is_refused_by_field(api: httpx.AsyncClient) -> None:
    for body, path in (
        ({"sessionDay": 3}, "/sessionDay"),
        ({"passwordMinLength": 4}, "/passwordMinLength"),
        ({"sessionDays": 1, "sessionIdleHours": 48}, "/sessionIdleHours"),
        ({"registrationRole": "nothing"}, "/registrationRole"),
        ({"type": "EraseAccount"}, "/type"),
    ):
        refused = await api.patch(SETTINGS, json=body)
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["path"] == path


async def test_new_projects_begin_with_the_environments_of_the_settings(
    api: httpx.AsyncClient,
) -> None:
    wanted = [{"environment": "test"}, {"environment": "live", "name": "Live", "protected": True}]
    await api.patch(SETTINGS, json={"projectEnvironments": wanted})
    await created(api, "/api/v1/projects", {"key": "one", "name": "One"})
    await created(
        api, "/api/v1/projects", {"key": "two", "name": "Two", "environments": [{"key": "own"}]}
    )
    one = (await api.get("/api/v1/projects/one/environments")).json()["items"]
    assert {(each["key"], each["name"], each["protected"]) for each in one} == {
        ("test", "test", False),
        ("live", "Live", True),
    }
    two = (await api.get("/api/v1/projects/two/environments")).json()["items"]
    assert [each["key"] for each in two] == ["own"]
