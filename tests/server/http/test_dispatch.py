"""The tree of routes."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import Match
from starlette.routing import Route as StarletteRoute

from server.http.dispatch import Found, MethodMissing, Tree
from server.http.table import ROUTES


class Place(NamedTuple):
    method: str
    path: str


TREE = Tree(
    [
        Place("GET", "/projects"),
        Place("GET", "/projects/{project}"),
        Place("DELETE", "/projects/{project}"),
        Place("POST", "/projects/{project}/flags/{flag}/archive"),
        Place("POST", "/evaluate"),
        Place("POST", "/evaluate/{key:path}"),
    ]
)


def test_parameters_are_what_stood_in_their_places() -> None:
    found = TREE.find("POST", "/projects/demo/flags/new-checkout/archive")
    assert isinstance(found, Found)
    assert found.parameters == {"project": "demo", "flag": "new-checkout"}


@pytest.mark.parametrize("rest", ["one", "a/b", "a//b/", "archive", " ", "ns:a", ""])
def test_a_parameter_may_take_all_that_is_left(rest: str) -> None:
    found = TREE.find("POST", f"/evaluate/{rest}")
    assert isinstance(found, Found)
    assert found.parameters == {"key": rest}


def test_a_parameter_that_takes_the_rest_is_no_other() -> None:
    with pytest.raises(ValueError, match="elsewhere"):
        Tree([Place("GET", "/{a:path}"), Place("POST", "/{a}")])


def test_head_is_answered_as_get() -> None:
    found = TREE.find("HEAD", "/projects")
    assert isinstance(found, Found)
    assert found.route.method == "GET"


def test_another_method_is_told_the_right_ones() -> None:
    assert TREE.find("PUT", "/projects/demo") == MethodMissing(("DELETE", "GET"))


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/projects/",
        "/projects/demo/",
        "/projects//flags/x/archive",
        "/projects/demo/flags",
    ],
)
def test_a_path_between_routes_is_nobodys(path: str) -> None:
    assert TREE.find("GET", path) is None


def test_two_routes_for_one_place_are_refused() -> None:
    with pytest.raises(ValueError, match="two routes"):
        Tree([Place("GET", "/a"), Place("GET", "/a")])
    with pytest.raises(ValueError, match="elsewhere"):
        Tree([Place("GET", "/{a}/x"), Place("GET", "/{b}/y")])


async def _endpoint(_: object) -> None:
    raise NotImplementedError


THEIRS = [StarletteRoute(route.path, _endpoint, methods=[route.method]) for route in ROUTES]
OURS = Tree(ROUTES)
SEGMENTS = sorted({part for route in ROUTES for part in route.path.split("/") if "{" not in part})


@given(
    st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]),
    st.lists(st.sampled_from([*SEGMENTS, "demo", "a b"]), max_size=9),
    st.booleans(),
)
def test_every_path_is_routed_as_starlette_would(
    method: str, segments: list[str], versioned: bool
) -> None:
    path = "/" + "/".join((["api", "v1"] if versioned else []) + segments)
    scope = {"type": "http", "path": path, "method": method}
    matches = [theirs.matches(scope) for theirs in THEIRS]
    full = [
        (ours, child["path_params"])
        for ours, (match, child) in zip(ROUTES, matches, strict=True)
        if match is Match.FULL
    ]
    found = OURS.find(method, path)
    if isinstance(found, Found):
        assert (found.route, found.parameters) in full
    else:
        assert not full
        assert (found is not None) == any(match is Match.PARTIAL for match, _ in matches)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_of_the_table_is_found(route: object) -> None:
    path = route.path.replace("{", "x").replace("}", "")  # type: ignore[attr-defined]
    found = OURS.find(route.method, path)  # type: ignore[attr-defined]
    assert isinstance(found, Found)
    assert found.route is route
