"""The description is of every route, and a client can be generated from it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from server.http.failures import failures_of
from server.http.ofrep.refusals import refused as refused_in_words_of_ofrep
from server.http.ofrep.refusals import status_of as status_of_ofrep
from server.http.openapi import describe, operation_id, path_of
from server.http.problems import INTERNAL, KINDS, Kind
from server.http.routes import Route
from server.http.table import ROUTES
from server.http.writes import BatchAnswer, WriteAnswer

DOCUMENT = describe(ROUTES)
TYPES = {"string", "integer", "number", "boolean", "object", "array", "null"}
KEYWORDS = {
    "$ref", "additionalProperties", "anyOf", "const", "default", "description", "discriminator",
    "enum", "format", "items", "maxItems", "maxLength", "maximum", "minItems", "minLength",
    "minimum", "oneOf", "pattern", "properties", "required", "title", "type",
}  # fmt: skip


@pytest.mark.parametrize("route", ROUTES, ids=operation_id)
def test_every_route_is_described(route: Route) -> None:
    operation = DOCUMENT["paths"][path_of(route)][route.method.lower()]
    assert operation["summary"] == route.summary
    assert str(route.status) in operation["responses"]
    assert ("requestBody" in operation) == route.reads_body
    schemes = {name for scheme in operation["security"] for name in scheme}
    assert ("token" in schemes) == (route.permission is not None)
    assert ("sdkKey" in schemes) == bool(route.sdk_keys)
    assert ("listeningKey" in schemes) == route.listens
    assert schemes <= DOCUMENT["components"]["securitySchemes"].keys()
    in_path = [p["name"] for p in operation["parameters"] if p["in"] == "path"]
    assert in_path == re.findall(r"\{(\w+)", route.path)


@pytest.mark.parametrize("route", ROUTES, ids=operation_id)
def test_a_browser_s_cookie_opens_what_a_token_opens(route: Route) -> None:
    operation = DOCUMENT["paths"][path_of(route)][route.method.lower()]
    ways = [set(way) for way in operation["security"] if "cookie" in way]
    beside = set() if route.method == "GET" else {"csrfToken"}
    assert ways == ([{"cookie"} | beside] if route.permission is not None else [])


def test_the_cookie_is_named_as_it_is_over_https() -> None:
    schemes = DOCUMENT["components"]["securitySchemes"]
    assert (schemes["cookie"]["in"], schemes["cookie"]["name"]) == (
        "cookie",
        "__Host-halyard_session",
    )
    assert (schemes["csrfToken"]["in"], schemes["csrfToken"]["name"]) == ("header", "X-CSRF-Token")


def test_nothing_is_described_that_is_not_served() -> None:
    described = {(m.upper(), p) for p, methods in DOCUMENT["paths"].items() for m in methods}
    assert described == {(route.method, path_of(route)) for route in ROUTES}


def test_operations_have_names_of_their_own() -> None:
    assert len({operation_id(route) for route in ROUTES}) == len(ROUTES)


def schemas_in(node: Any) -> Iterator[dict[str, Any]]:
    """Every schema below a schema, itself included."""
    yield node
    for keyword in ("anyOf", "oneOf"):
        for child in node.get(keyword, ()):
            yield from schemas_in(child)
    children = list(node.get("properties", {}).values())
    children += [
        node[k] for k in ("items", "additionalProperties") if isinstance(node.get(k), dict)
    ]
    for child in children:
        yield from schemas_in(child)


def all_schemas() -> Iterator[dict[str, Any]]:
    for schema in DOCUMENT["components"]["schemas"].values():
        yield from schemas_in(schema)
    for methods in DOCUMENT["paths"].values():
        for operation in methods.values():
            for answer in operation["responses"].values():
                for content in followed(answer).get("content", {}).values():
                    yield from schemas_in(content["schema"])
            for parameter in operation["parameters"]:
                yield from schemas_in(parameter["schema"])
            for content in operation.get("requestBody", {}).get("content", {}).values():
                yield from schemas_in(content["schema"])


def test_every_schema_is_well_formed_and_every_reference_leads_somewhere() -> None:
    components = DOCUMENT["components"]["schemas"]
    count = 0
    for schema in all_schemas():
        count += 1
        assert schema.keys() <= KEYWORDS, schema
        types = schema.get("type", [])
        assert {types} <= TYPES if isinstance(types, str) else set(types) <= TYPES
        assert set(schema.get("required", ())) <= schema.get("properties", {}).keys()
        if "$ref" in schema:
            assert schema["$ref"].removeprefix("#/components/schemas/") in components
        for target in schema.get("discriminator", {}).get("mapping", {}).values():
            assert target.removeprefix("#/components/schemas/") in components
    assert count > 500


def test_one_of_several_is_said_only_where_a_member_tells_which() -> None:
    condition = DOCUMENT["components"]["schemas"]["Condition"]
    for schema in all_schemas():
        if "oneOf" in schema and schema is not condition:
            assert "discriminator" in schema, schema


def test_what_a_list_holds_by_default_is_as_its_items_are_described() -> None:
    components = DOCUMENT["components"]["schemas"]
    seen = 0
    for schema in all_schemas():
        item = schema.get("items", {}).get("$ref", "").removeprefix("#/components/schemas/")
        for default in schema.get("default") or () if item else ():
            assert set(components[item].get("required", ())) <= default.keys()
            assert default.keys() <= components[item]["properties"].keys()
            seen += 1
    assert seen >= 3


def test_a_body_that_the_server_completes_may_leave_out_what_it_fills() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert schemas["AddRuleBody"]["required"] == ["when", "serve"]
    assert set(schemas["CreateFlagBody"]["required"]) == {"key"}
    assert "sha256" not in schemas["IssueSdkKeyBody"]["properties"]
    assert "flag" not in schemas["EnableFlagBody"]["properties"]
    assert "key" in schemas["NewEnvironmentBody"]["properties"]


def test_an_independent_reader_finds_nothing_wrong_with_it() -> None:
    assert [error.message for error in OPENAPI_31_VALIDATOR.iter_errors(DOCUMENT)] == []


@pytest.mark.parametrize(
    "kind", {kind.slug: kind for kind in (*KINDS.values(), INTERNAL)}.values(), ids=lambda k: k.slug
)
def test_every_kind_of_failure_stands_at_the_routes_that_may_have_it(kind: Kind) -> None:
    """A new one that nothing about a route can tell is to be named in the route's ``refuses``."""
    if kind.slug == "method-not-allowed":
        return  # of no route: the path has others
    having = [route for route in ROUTES if kind in failures_of(route)]
    assert having, "name it in Route.refuses of those that may have it"
    for route in having:
        of_route = answers_of(route)
        status = status_of_ofrep(kind.status) if route.failure else kind.status
        own = [of for of, _ in route.also_answers]
        told = of_route[str(status)]["description"]
        assert status in own or f"`{kind.slug}`: {kind.title}" in told


def answers_of(route: Route) -> dict[str, Any]:
    """What stands at each status of a route, references followed."""
    answers = DOCUMENT["paths"][path_of(route)][route.method.lower()]["responses"]
    return {status: followed(answer) for status, answer in answers.items()}


def followed(node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    found: Any = DOCUMENT
    for part in node["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    assert isinstance(found, dict)
    return found


def test_nothing_is_said_of_statuses_in_general() -> None:
    assert not any("default" in answers_of(route) for route in ROUTES)


def statuses(method: str, path: str) -> set[int]:
    return {int(of) for of in DOCUMENT["paths"][path][method]["responses"]}


def test_statuses_follow_from_what_a_route_is() -> None:
    flag = "/api/v1/projects/{project}/flags/{flag}"
    assert statuses("get", flag) == {200, 401, 403, 404, 422, 500, 503, 504}
    assert statuses("delete", flag) == {
        200, 400, 401, 403, 404, 408, 409, 412, 413, 415, 422, 500, 503,
    }  # fmt: skip
    assert statuses("get", "/healthz") == {200, 500}
    assert statuses("get", "/readyz") == {200, 500, 503}
    assert statuses("get", "/metrics") == {200, 401, 500}
    assert statuses("get", "/sdk/v1/ruleset") == {200, 304, 401, 403, 422, 500, 501, 503}


def test_a_failure_says_when_to_come_back_and_what_is_wanted() -> None:
    answers = answers_of(next(r for r in ROUTES if r.path.endswith("/flags/{flag}")))
    assert "Retry-After" in answers["503"]["headers"]
    assert "WWW-Authenticate" in answers["401"]["headers"]


def test_revisions_and_addresses_stand_in_the_headers_of_what_has_them() -> None:
    for route in ROUTES:
        headers = answers_of(route)[str(route.status)]["headers"]
        assert ("Location" in headers) == (route.status in (201, 302))
        if route.response is BatchAnswer:
            assert "ETag" not in headers
        elif route.writes and route.response is WriteAnswer:
            assert "ETag" in headers


def test_every_member_that_a_problem_may_have_is_described() -> None:
    shown = DOCUMENT["components"]["schemas"]["ShownProblem"]["properties"]
    members = {"permission", "entity", "expected", "actual", "between", "uses", "keys", "limit"}
    assert members <= shown.keys()


def test_what_stands_in_a_path_is_described_by_what_it_may_look_like() -> None:
    parameters = DOCUMENT["paths"]["/api/v1/projects/{project}"]["get"]["parameters"]
    pattern = parameters[0]["schema"]["pattern"]
    assert re.search(pattern, "shop-2")
    assert not any(re.search(pattern, name) for name in ("$system", "..", "a/b", "A", "-a"))


CONDITIONAL = ["/sdk/v1/ruleset", "/ofrep/v1/evaluate/flags"]


@pytest.mark.parametrize("path", CONDITIONAL)
def test_what_can_be_asked_for_conditionally_may_answer_304(path: str) -> None:
    (operation,) = (op for name, op in DOCUMENT["paths"][path].items() if name != "options")
    assert "If-None-Match" in {p["name"] for p in operation["parameters"] if p["in"] == "header"}
    assert "content" not in operation["responses"]["304"]
    for status in ("200", "304"):
        assert "ETag" in operation["responses"][status]["headers"]


def test_nothing_else_is_said_to_answer_304() -> None:
    described = {
        path
        for path, methods in DOCUMENT["paths"].items()
        if any("304" in operation["responses"] for operation in methods.values())
    }
    assert described == set(CONDITIONAL)


@pytest.mark.parametrize("route", ROUTES, ids=operation_id)
def test_a_failure_is_described_as_it_is_written(route: Route) -> None:
    others = {str(status) for status, _ in route.also_answers}
    for status, answer in answers_of(route).items():
        if int(status) < 400 or status in others:
            continue
        ((content_type, content),) = answer["content"].items()
        if route.refused is refused_in_words_of_ofrep:
            expected = ("application/json", "Failure")
        else:
            expected = ("application/problem+json", "ShownProblem")
        assert (content_type, content["schema"]["$ref"].split("/")[-1]) == expected


@pytest.mark.parametrize("path", ["/ofrep/v1/events", "/api/v1/projects/{project}/events/stream"])
def test_a_stream_is_described_as_one(path: str) -> None:
    operation = DOCUMENT["paths"][path]["get"]
    assert list(operation["responses"]["200"]["content"]) == ["text/event-stream"]
    assert "Last-Event-ID" in {parameter["name"] for parameter in operation["parameters"]}


async def test_it_is_served_to_anybody(api: httpx.AsyncClient) -> None:
    response = await api.get("/openapi.json")
    assert response.headers["content-type"] == "application/json"
    assert response.json()["openapi"] == "3.1.0"
