"""Alive, ready, described."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import httpx
import redis.asyncio

from projections.rulesets import Rulesets
from server.http.dependencies import Dependencies
from tests.support.api import PROJECT, client_of, problem


async def test_anybody_may_ask_whether_the_process_is_alive(api: httpx.AsyncClient) -> None:
    response = await api.get("/healthz", headers={"authorization": ""})
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_the_root_says_where_to_go_on(api: httpx.AsyncClient) -> None:
    assert (await api.get("/")).json()["description"] == "/openapi.json"


async def test_ready_says_what_is_wrong_and_what_is_stale(dependencies: Dependencies) -> None:
    async def fine() -> None:
        return None

    async def behind() -> str:
        return "demo is 12 events behind"

    async def broken() -> None:
        raise OSError("no route to db-7")

    ready = replace(dependencies, readiness={"database": fine}, staleness={"demo": behind})
    async with client_of(ready, token=None) as client:
        response = await client.get("/readyz")
        assert response.status_code == 200
        assert response.json() == {
            "ready": True,
            "checks": {"database": "ok"},
            "stale": {"demo": "demo is 12 events behind"},
        }
    unready = replace(dependencies, readiness={"database": broken, "redis": fine, "hub": behind})
    async with client_of(unready, token=None) as client:
        response = await client.get("/readyz")
        assert response.status_code == 503
        assert response.json()["checks"] == {
            "database": "failed",
            "redis": "ok",
            "hub": "demo is 12 events behind",
        }


async def test_a_check_that_hangs_does_not_hang_the_answer(
    dependencies: Dependencies, monkeypatch: object
) -> None:
    from server.http import operations

    async def hangs() -> None:
        await asyncio.Event().wait()

    hanging = replace(dependencies, readiness={"database": hangs})
    before, operations.CHECK_TIMEOUT_S = operations.CHECK_TIMEOUT_S, 0.02
    try:
        async with client_of(hanging, token=None) as client:
            assert "no answer" in (await client.get("/readyz")).json()["checks"]["database"]
    finally:
        operations.CHECK_TIMEOUT_S = before


async def test_projections_say_how_far_behind_they_are(
    demo: httpx.AsyncClient, dependencies: Dependencies, redis_client: redis.asyncio.Redis
) -> None:
    problem(await demo.get(f"{PROJECT}/projections"), 501, "not-served-here")
    async with client_of(replace(dependencies, rulesets=Rulesets(redis_client))) as client:
        response = await client.get(f"{PROJECT}/projections")
    statuses = response.json()["items"]
    assert [status["environment"] for status in statuses] == [
        "development",
        "production",
        "staging",
    ]
    assert {status["behind"] for status in statuses} == {5}
    assert {status["seq"] for status in statuses} == {None}
