"""The route table as OpenAPI 3.1: nothing is described twice.

Schemas come from the same msgspec types that read and write the bodies.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec
from halyard_protocol.conditions import OPERATORS, Condition

from server.http.concurrency import IDEMPOTENCY_KEY_LENGTH
from server.http.problems import KINDS, ProblemDetails
from server.http.queries import Query
from server.http.routes import Route

VERSION = "3.1.0"
_REF = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"\{(\w+)\}")
_PROBLEM = {"$ref": "#/components/responses/Problem"}
_ENTITY_TAG = {"ETag": {"schema": {"type": "string"}}}

_CONDITION_REF = {"$ref": _REF.format(name="Condition")}
_CONDITION: dict[str, Any] = {
    "title": "Condition",
    "description": "A group (all, any, not), or a leaf that compares an attribute with values.",
    "oneOf": [
        {
            "type": "object",
            "required": ["all"],
            "properties": {"all": {"type": "array", "items": _CONDITION_REF}},
        },
        {
            "type": "object",
            "required": ["any"],
            "properties": {"any": {"type": "array", "items": _CONDITION_REF}},
        },
        {"type": "object", "required": ["not"], "properties": {"not": _CONDITION_REF}},
        {
            "type": "object",
            "required": ["op"],
            "properties": {
                "kind": {"type": "string", "default": "user"},
                "attribute": {"type": "string"},
                "op": {"enum": sorted(OPERATORS)},
                "values": {"type": "array"},
                "zone": {"type": "string"},
            },
        },
    ],
}
_SECURITY: dict[str, Any] = {
    "token": {"type": "http", "scheme": "bearer", "description": "An API token of an account"},
    "sdkKey": {"type": "http", "scheme": "bearer", "description": "An SDK key"},
    "sdkKeyHeader": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "listeningKey": {"type": "apiKey", "in": "query", "name": "key"},
}
_KEY_SCHEMES = ("sdkKey", "sdkKeyHeader")


def describe(routes: tuple[Route, ...]) -> dict[str, Any]:
    """The document."""
    described = tuple(_types_of(routes))
    schemas, components = msgspec.json.schema_components(
        described, schema_hook=_hook, ref_template=_REF
    )
    by_type = {id(of): schema for of, schema in zip(described, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operation = _operation(route, by_type)
        paths.setdefault(path_of(route), {})[route.method.lower()] = operation
    return {
        "openapi": VERSION,
        "info": {"title": "Halyard", "version": "1", "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "schemas": {**components, "Condition": _CONDITION},
            "securitySchemes": _SECURITY,
            "responses": {"Problem": _problem_response(by_type[id(ProblemDetails)])},
        },
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes)],
    }


def _types_of(routes: Iterable[Route]) -> Iterable[Any]:
    yield ProblemDetails
    for route in routes:
        if route.request is not None:
            yield route.request
        if route.response is not None:
            yield route.response
        if route.failure is not None:
            yield route.failure


def _hook(of: type) -> dict[str, Any]:
    if of is Condition:
        return _CONDITION_REF
    raise NotImplementedError(f"no schema of {of}")


def _operation(route: Route, by_type: dict[int, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": operation_id(route),
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": [*_path_parameters(route), *_query_parameters(route), *_headers(route)],
        "responses": _answers(route, by_type),
        "security": _security(route),
    }
    if route.permission:
        operation["x-permission"] = route.permission
    if route.sdk_keys:
        operation["x-sdk-keys"] = route.sdk_keys
    if route.request is not None:
        operation["requestBody"] = {
            "required": not route.body_optional,
            "content": {"application/json": {"schema": by_type[id(route.request)]}},
        }
    return operation


def _security(route: Route) -> list[dict[str, list[str]]]:
    """The schemes of which one is enough."""
    names = [*(["token"] if route.permission else []), *(_KEY_SCHEMES if route.sdk_keys else [])]
    names += ["listeningKey"] if route.listens else []
    return [{name: []} for name in names]


def path_of(route: Route) -> str:
    """The path as people read it: that a parameter takes all the rest shows in its use."""
    return route.path.replace(":path}", "}")


def operation_id(route: Route) -> str:
    """A name for generated clients: the method and what the path names."""
    words = re.findall(r"[A-Za-z0-9]+", path_of(route).removeprefix("/api/v1"))
    return route.method.lower() + "".join(word[:1].upper() + word[1:] for word in words)


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(path_of(route))
    ]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    properties = _query_schema(route.query).get("properties", {})
    return [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in properties.items()
    ]


@cache
def _query_schema(query: type[Query]) -> dict[str, Any]:
    _, components = msgspec.json.schema_components((query,), ref_template=_REF)
    schema: dict[str, Any] = components[query.__name__]
    return schema


def _headers(route: Route) -> list[dict[str, Any]]:
    headers: dict[str, Any] = {name: {"type": "string"} for name in route.headers}
    if route.writes:
        length = {"type": "string", "minLength": 1, "maxLength": IDEMPOTENCY_KEY_LENGTH}
        headers |= {"If-Match": {"type": "string"}, "Idempotency-Key": length}
    return [
        {"name": name, "in": "header", "required": False, "schema": schema}
        for name, schema in headers.items()
    ]


def _answers(route: Route, by_type: dict[int, Any]) -> dict[str, Any]:
    """Each status beside what comes with it; ``default`` is every failure."""
    answer: dict[str, Any] = {"description": route.summary}
    if route.response is not None:
        answer["content"] = {route.content_type: {"schema": by_type[id(route.response)]}}
    answers = {str(route.status): answer, "default": _failure(route, by_type)}
    if "If-None-Match" in route.headers:
        answer["headers"] = _ENTITY_TAG
        answers["304"] = {"description": "What the client has is current", "headers": _ENTITY_TAG}
    return answers


def _failure(route: Route, by_type: dict[int, Any]) -> dict[str, Any]:
    if route.failure is None:
        return _PROBLEM
    content = {"application/json": {"schema": by_type[id(route.failure)]}}
    return {"description": "A failure, in words of the protocol's own", "content": content}


def _problem_response(schema: dict[str, Any]) -> dict[str, Any]:
    kinds = sorted({(kind.slug, kind.status) for kind in KINDS.values()})
    listed = "; ".join(f"{slug} ({status})" for slug, status in kinds)
    return {
        "description": f"A problem (RFC 9457). Kinds: {listed}",
        "content": {"application/problem+json": {"schema": schema}},
    }
