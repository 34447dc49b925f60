"""What a route answers, for its description: every status, with its body, its type and its headers.

There is no ``default``: a status that does not stand in the description is never answered. What
uvicorn itself says to bytes that are no HTTP, and to heads without end, is no route's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

import msgspec

from server.http.failures import failures_of
from server.http.ofrep.refusals import Failure, status_of
from server.http.problems import Kind, ProblemDetails, ShownProblem
from server.http.queries import MinSeqQuery
from server.http.replies import BODILESS
from server.http.routes import Route
from server.http.writes import BatchAnswer

Schemas = Mapping[int, dict[str, Any]]
"""Schemas by the identity of their type."""

_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_ETAG = {"description": "The revision, in quotes: for If-Match", "schema": _TEXT}
_DIGEST = {"description": "What this answer is: for If-None-Match", "schema": _TEXT}
_LOCATION = {"description": "The path of what was created", "schema": _TEXT}
_WHERE_TO = {"description": "Where the browser goes", "schema": _TEXT}
_SET_COOKIE = {"description": "A cookie that pages cannot read", "schema": _TEXT}
_SEQ = {"description": "As of which seq of the project's log this is", "schema": _COUNT}
_RETRY_AFTER = {"description": "Seconds to wait before asking again", "schema": _COUNT}
_CHALLENGE = {"description": "Which credentials are wanted (RFC 6750)", "schema": _TEXT}
_REQUEST_ID = {"description": "Of this request; the server's log has it", "schema": _TEXT}

_OF_FAILURES: dict[int, dict[str, Any]] = {
    401: {"WWW-Authenticate": _CHALLENGE},
    429: {"Retry-After": _RETRY_AFTER},
    503: {"Retry-After": _RETRY_AFTER},
    504: {"Retry-After": _RETRY_AFTER},
}


class Answers:
    """Describes routes one after the other; what several answer alike is written once."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas
        self.components: dict[str, dict[str, Any]] = {}
        """Answers to refer to, by name; filled as routes are described."""
        self._names: dict[tuple[int, tuple[Kind, ...]], str] = {}

    def of(self, route: Route) -> dict[str, Any]:
        """Each status beside what comes with it."""
        answers = {str(route.status): self._success(route)}
        if "If-None-Match" in route.headers:
            answers["304"] = {
                "description": "What the client has is current",
                "headers": {"ETag": _DIGEST},
            }
        for status, of in route.also_answers:
            answers[str(status)] = self._also(status, of)
        for status, kinds in _by_status(route):
            if str(status) not in answers:
                answers[str(status)] = self._failure(route, status, kinds)
        return answers

    def _success(self, route: Route) -> dict[str, Any]:
        answer: dict[str, Any] = {"description": route.summary, "headers": _headers(route)}
        kinds = (*(((route.content_type, route.response),) if route.response else ()),)
        content = {name: {"schema": self._schemas[id(of)]} for name, of in (*kinds, *route.also_as)}
        if content and route.status not in BODILESS:
            answer["content"] = content
        return answer

    def _also(self, status: int, of: Any) -> dict[str, Any]:
        answer: dict[str, Any] = {"description": f"See the reference for {status}"}
        if of is not None:
            answer["content"] = {"application/json": {"schema": self._schemas[id(of)]}}
        elif 300 <= status < 400:
            answer["headers"] = {"Location": {"description": "Where to go", "schema": _TEXT}}
        return answer

    def _failure(self, route: Route, status: int, kinds: tuple[Kind, ...]) -> dict[str, Any]:
        if route.failure is not None:
            content = {"application/json": {"schema": self._schemas[id(route.failure)]}}
            return {"description": _listed(kinds), "content": content}
        name = self._names.get((status, kinds))
        if name is None:
            taken = sum(1 for of, _ in self._names if of == status)
            name = f"Problem{status}" + (f"-{taken + 1}" if taken else "")
            self._names[status, kinds] = name
            self.components[name] = self._problem(status, kinds)
        return {"$ref": f"#/components/responses/{name}"}

    def _problem(self, status: int, kinds: tuple[Kind, ...]) -> dict[str, Any]:
        of = msgspec.json.decode(msgspec.json.encode(_example(kinds[0])))
        return {
            "description": _listed(kinds),
            "headers": {"X-Request-Id": _REQUEST_ID, **_OF_FAILURES.get(status, {})},
            "content": {
                "application/problem+json": {
                    "schema": self._schemas[id(ShownProblem)],
                    "example": of,
                }
            },
        }


def _by_status(route: Route) -> Iterator[tuple[int, tuple[Kind, ...]]]:
    def status(kind: Kind) -> int:
        return status_of(kind.status) if route.failure is Failure else kind.status

    for number, kinds in groupby(sorted(failures_of(route), key=status), status):
        yield number, tuple(kinds)


def _listed(kinds: tuple[Kind, ...]) -> str:
    return "; ".join(f"`{kind.slug}`: {kind.title}" for kind in kinds)


def _example(kind: Kind) -> ProblemDetails:
    return ProblemDetails(
        kind.urn, kind.title, kind.status, "What is wrong here", "urn:halyard:request:c0ffee"
    )


def _headers(route: Route) -> dict[str, Any]:
    headers: dict[str, Any] = {"X-Request-Id": _REQUEST_ID}
    if shows_revision(route):
        headers["ETag"] = _ETAG
    if "If-None-Match" in route.headers:
        headers["ETag"] = _DIGEST
    if route.status == 201:
        headers["Location"] = _LOCATION
    if 300 <= route.status < 400:
        headers |= {"Location": _WHERE_TO, "Set-Cookie": _SET_COOKIE}
    if route.permission is not None and issubclass(route.query, MinSeqQuery):
        headers["Halyard-Seq"] = _SEQ
    return headers


def shows_revision(route: Route) -> bool:
    """Whether an answer is of one entity, so that its ``ETag`` is a revision."""
    of = route.response
    if not (isinstance(of, type) and issubclass(of, msgspec.Struct)) or issubclass(of, BatchAnswer):
        return False
    return any(field.name == "revision" for field in msgspec.structs.fields(of))
