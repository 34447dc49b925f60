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
from halyard_protocol.limits import MAX_KEY_LENGTH
from halyard_protocol.problems import KEY_PATTERN

from domain.limits import PLACE_KEY_LENGTH
from domain.names import PLACE_KEY_PATTERN
from server.http.concurrency import IDEMPOTENCY_KEY_LENGTH
from server.http.cookies import CSRF_HEADER, SAFE_METHODS
from server.http.cookies import NAME as COOKIE
from server.http.openapi_answers import Answers, Schemas, shows_revision
from server.http.problems import ShownProblem
from server.http.queries import Query
from server.http.routes import Route

VERSION = "3.1.0"
_REF = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"\{(\w+)\}")

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
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API token of an account, or the access token of a login",
    },
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": f"__Host-{COOKIE}",
        "description": (
            "The login of a browser, as POST /api/v1/auth/login with cookie: true and identity"
            f" providers set it; over plain http its name is {COOKIE}"
        ),
    },
    "csrfToken": {
        "type": "apiKey",
        "in": "header",
        "name": CSRF_HEADER,
        "description": (
            "Needed beside the cookie by whatever changes something, with an Origin that is this"
            " server's; the login and GET /api/v1/auth/me tell it"
        ),
    },
    "sdkKey": {"type": "http", "scheme": "bearer", "description": "An SDK key"},
    "sdkKeyHeader": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "listeningKey": {"type": "apiKey", "in": "query", "name": "key"},
}
_KEY_SCHEMES = ("sdkKey", "sdkKeyHeader")
_IF_MATCH = {"type": "string", "pattern": r'^(\*|"[0-9]{1,18}")$'}
_PLACES = ("project", "environment")
_ENTITIES = ("flag", "segment", "rule", "key")
"""Parameters of paths whose look is known."""
_INFO = {
    "title": "Halyard",
    "version": "1",
    "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    "description": (
        "A self-hosted feature-flag server. Every failure is a problem (RFC 9457), except where"
        " OFREP asks; every status that a route can answer stands beside it."
    ),
}


def describe(routes: tuple[Route, ...]) -> dict[str, Any]:
    """The document."""
    described = tuple(_types_of(routes))
    schemas, components = msgspec.json.schema_components(
        described, schema_hook=_hook, ref_template=_REF
    )
    by_type = {id(of): schema for of, schema in zip(described, schemas, strict=True)}
    answers = Answers(by_type)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operation = _operation(route, by_type, answers)
        paths.setdefault(path_of(route), {})[route.method.lower()] = operation
    return {
        "openapi": VERSION,
        "info": _INFO,
        "paths": paths,
        "components": {
            "schemas": {**components, "Condition": _CONDITION},
            "securitySchemes": _SECURITY,
            "responses": answers.components,
        },
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes)],
    }


def _types_of(routes: Iterable[Route]) -> Iterable[Any]:
    yield ShownProblem
    for route in routes:
        bodies = (route.request, route.response, route.failure)
        others = (of for _, of in (*route.also_as, *route.also_answers))
        yield from (of for of in (*bodies, *others) if of is not None)


def _hook(of: type) -> dict[str, Any]:
    if of is Condition:
        return _CONDITION_REF
    raise NotImplementedError(f"no schema of {of}")


def _operation(route: Route, by_type: Schemas, answers: Answers) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": operation_id(route),
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": [*_path_parameters(route), *_query_parameters(route), *_headers(route)],
        "responses": answers.of(route),
        "security": _security(route),
    }
    if route.permission:
        operation["x-permission"] = route.permission
    if route.sdk_keys:
        operation["x-sdk-keys"] = route.sdk_keys
    if route.request is not None:
        operation["requestBody"] = {
            "required": not route.body_optional,
            "content": {
                content_type: {"schema": by_type[id(route.request)]}
                for content_type in route.body_content_types
            },
        }
    return operation


def _security(route: Route) -> list[dict[str, list[str]]]:
    """The schemes of which one is enough, or one pair."""
    by_cookie = ("cookie",) if route.method in SAFE_METHODS else ("cookie", "csrfToken")
    ways: list[tuple[str, ...]] = [("token",), by_cookie] if route.permission else []
    ways += [(name,) for name in _KEY_SCHEMES] if route.sdk_keys else []
    ways += [("listeningKey",)] if route.listens else []
    return [{name: [] for name in way} for way in ways]


def path_of(route: Route) -> str:
    """The path as people read it: that a parameter takes all the rest shows in its use."""
    return route.path.replace(":path}", "}")


def operation_id(route: Route) -> str:
    """A name for generated clients: the method and what the path names."""
    words = re.findall(r"[A-Za-z0-9]+", path_of(route).removeprefix("/api/v1"))
    return route.method.lower() + "".join(word[:1].upper() + word[1:] for word in words)


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": _path_schema(name)}
        for name in _PARAMETER.findall(path_of(route))
    ]


def _path_schema(name: str) -> dict[str, Any]:
    if name in _PLACES:
        pattern, length = PLACE_KEY_PATTERN.pattern, PLACE_KEY_LENGTH
    elif name in _ENTITIES:
        pattern, length = KEY_PATTERN.pattern, MAX_KEY_LENGTH
    else:
        return {"type": "string", "minLength": 1}
    return {"type": "string", "pattern": f"^{pattern}$", "minLength": 1, "maxLength": length}


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
        headers |= {"If-Match": _IF_MATCH} if shows_revision(route) else {}
        headers |= {"Idempotency-Key": length}
    return [
        {"name": name, "in": "header", "required": False, "schema": schema}
        for name, schema in headers.items()
    ]
