"""What is told of requests over HTTP, and who is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from server.http.dependencies import Dependencies
from server.metrics.exposition import Exposition
from server.metrics.requests import RequestFigures
from tests.support.api import client_of, install, problem, running_dependencies
from tests.support.scraping import scrape_of, scraped

TOKEN = "a token for the monitoring"


async def test_requests_are_told_by_route_and_never_by_path(database_url: str) -> None:
    async with running_dependencies(database_url) as dependencies:
        await install(dependencies)
        async with client_of(dependencies) as api:
            for key in ("one", "two", "three"):
                assert (await api.get(f"/api/v1/projects/{key}")).status_code == 404
                assert (await api.get(f"/nowhere/{key}")).status_code == 404
                assert (await api.request(key.upper(), "/healthz")).status_code == 405
            assert (await api.head("/healthz")).status_code == 200
        scrape = await scrape_of(RequestFigures(dependencies.counters))
    told = {
        tuple(sample.labels.values()): sample.value
        for sample in scrape.metrics["halyard_http_requests"].samples
    }
    assert told == {
        ("GET", "/api/v1/projects/{project}", "4xx"): 3,
        ("-", "-", "4xx"): 6,
        ("GET", "/healthz", "2xx"): 1,
    }
    route = {"method": "GET", "route": "/healthz"}
    assert scrape("halyard_http_request_duration_seconds_count", **route) == 1
    assert scrape("halyard_http_requests_in_flight") == 0


@pytest.fixture
async def guarded(dependencies_of_nothing: Dependencies) -> Dependencies:
    return replace(dependencies_of_nothing, metrics=Exposition([], token=TOKEN))


@pytest.fixture
async def dependencies_of_nothing(database_url: str) -> Dependencies:
    async with running_dependencies(database_url) as dependencies:
        return dependencies


@pytest.mark.parametrize("header", ["", "Bearer another", f"Bearer {TOKEN}x", f"Basic {TOKEN}"])
async def test_a_token_is_asked_for_where_there_is_one(guarded: Dependencies, header: str) -> None:
    async with client_of(guarded, token=None) as http:
        response = await http.get("/metrics", headers={"authorization": header} if header else {})
        refusal = problem(response, 401, "unauthenticated")
        assert "HALYARD_METRICS_TOKEN" in refusal["detail"]
        assert response.headers["www-authenticate"].startswith("Bearer")


async def test_who_has_the_token_reads(guarded: Dependencies) -> None:
    async with client_of(guarded, token=None) as http:
        await scraped(http, TOKEN)
        response = await http.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"


async def test_without_a_token_everybody_reads(dependencies_of_nothing: Dependencies) -> None:
    async with client_of(dependencies_of_nothing, token=None) as http:
        await scraped(http)
