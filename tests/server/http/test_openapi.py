"""The description is of every route, and a client can be generated from it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from server.http.ofrep.refusals import refused as refused_in_words_of_ofrep
from server.http.openapi import describe, operation_id, path_of
from server.http.problems import KINDS
from server.http.routes import Route
from server.http.table import ROUTES

DOCUMENT = describe(ROUTES)
TYPES = {"string", "integer", "number", "boolean", "object", "array", "null"}
KEYWORDS = {
    "$ref", "additionalProperties", "anyOf", "const", "default", "description", "discriminator",
    "enum", "format", "items", "maxItems", "maxLength", "maximum", "minItems", "minLength",
    "minimum", "oneOf", "properties", "required", "title", "type",
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
            for parameter in operation["parameters"]:
                yield from schemas_in(parameter["schema"])
            for holder in (operation.get("requestBody", {}), *operation["responses"].values()):
                for content in holder.get("content", {}).values():
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


def test_the_kinds_of_problems_are_listed() -> None:
    told = DOCUMENT["components"]["responses"]["Problem"]["description"]
    assert all(kind.slug in told for kind in KINDS.values())


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
    operation = DOCUMENT["paths"][path_of(route)][route.method.lower()]
    failure = operation["responses"]["default"]
    if route.refused is refused_in_words_of_ofrep:
        (schema,) = (content["schema"] for content in failure["content"].values())
        assert schema == {"$ref": "#/components/schemas/Failure"}
    else:
        assert failure == {"$ref": "#/components/responses/Problem"}


def test_a_stream_is_described_as_one() -> None:
    operation = DOCUMENT["paths"]["/ofrep/v1/events"]["get"]
    assert list(operation["responses"]["200"]["content"]) == ["text/event-stream"]
    assert "Last-Event-ID" in {parameter["name"] for parameter in operation["parameters"]}


async def test_it_is_served_to_anybody(api: httpx.AsyncClient) -> None:
    response = await api.get("/openapi.json")
    assert response.headers["content-type"] == "application/json"
    assert response.json()["openapi"] == "3.1.0"
