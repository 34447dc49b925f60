"""Environments compared, over HTTP."""

from __future__ import annotations

import httpx

from tests.support.api import PROJECT, SETTINGS, created, problem


async def test_environments_are_compared_flag_by_flag(demo: httpx.AsyncClient) -> None:
    await demo.put(f"{SETTINGS}/expiry", json={"expiresAt": "2030-01-01T00:00:00Z"})
    for key in ("a", "b", "z"):
        await created(demo, f"{PROJECT}/flags", {"key": key})
        await demo.post(f"{PROJECT}/flags/{key}/environments/staging/enable")
    await created(demo, f"{PROJECT}/flags", {"key": "same"})
    path = f"{PROJECT}/compare?from=development&to=staging"
    page = (await demo.get(f"{path}&limit=3")).json()
    assert [item["flag"] for item in page["items"]] == ["a", "b", "checkout"]
    (change,) = page["items"][0]["changes"]
    assert (change["path"], change["before"], change["after"]) == ("/enabled", False, True)
    rest = (await demo.get(f"{path}&limit=3&cursor={page['nextCursor']}")).json()
    assert ([item["flag"] for item in rest["items"]], rest["nextCursor"]) == (["z"], None)
    (only,) = (await demo.get(f"{path}&flag=checkout")).json()["items"]
    assert only == page["items"][2]
    assert (await demo.get(f"{path}&flag=same")).json()["items"] == []


async def test_what_cannot_be_compared_is_named(demo: httpx.AsyncClient) -> None:
    path = f"{PROJECT}/compare"
    errors = problem(await demo.get(path), 422, "malformed")["errors"]
    assert [error["path"] for error in errors] == ["?from", "?to"]
    same = await demo.get(f"{path}?from=staging&to=staging")
    assert problem(same, 422, "malformed")["errors"][0]["path"] == "?to"
    problem(await demo.get(f"{path}?from=staging&to=moon"), 404, "not-found")
    problem(await demo.get(f"{path}?from=staging&to=production&flag=x"), 404, "not-found")
