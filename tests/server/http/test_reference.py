"""The reference in docs says what the server does."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.http.histories import EventListQuery
from server.http.openapi import operation_id, path_of
from server.http.problems import INTERNAL, KINDS, Kind
from server.http.queries import FlagListQuery, KeyListQuery, SegmentListQuery, parameter_names
from server.http.routes import ALL_KEYS, API, SERVER_KEYS, Route
from server.http.table import ROUTES

REFERENCE = (Path(__file__).parents[3] / "docs/reference/http.md").read_text()


@pytest.mark.parametrize("route", ROUTES, ids=operation_id)
def test_every_route_stands_in_the_reference(route: Route) -> None:
    path = path_of(route).removeprefix(API)
    key = {(): "", SERVER_KEYS: "server key", ALL_KEYS: "SDK key"}[route.sdk_keys]
    listening = "listening key" if route.listens else ""
    ways = (route.permission and f"`{route.permission}`", key, listening)
    needs = " or ".join(filter(None, ways)) or "none"
    assert f"| `{route.method} {path}` | {route.summary} | {needs} |" in REFERENCE


@pytest.mark.parametrize("kind", {kind.slug: kind for kind in (*KINDS.values(), INTERNAL)}.values())
def test_every_kind_of_problem_stands_in_the_reference(kind: Kind) -> None:
    assert f"| `{kind.slug}` | {kind.status} | {kind.title}" in REFERENCE


@pytest.mark.parametrize("query", [FlagListQuery, KeyListQuery, SegmentListQuery, EventListQuery])
def test_every_parameter_stands_in_the_reference(query: type) -> None:
    for name in parameter_names(query):
        assert any(form in REFERENCE for form in (f"`{name}`", f"?{name}=", f"`{name}="))
