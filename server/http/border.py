"""One request from its first header to its log line: route, authenticate, authorise, read, answer.

The one place where a permission is checked and where an exception becomes a problem. Nothing of a
body, a query string or a token is ever logged; a path is logged as its template.
"""

from __future__ import annotations

import asyncio
import time

import structlog
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from server.http.auth import admit
from server.http.call import Call
from server.http.counters import UNROUTED, Asked
from server.http.dependencies import Dependencies
from server.http.dispatch import Found, MethodMissing, Tree
from server.http.faults import (
    BodyTooLarge,
    BodyTooSlow,
    EncodedBody,
    MethodNotAllowed,
    NoSuchRoute,
)
from server.http.problems import INTERNAL, kind_of
from server.http.queries import Query, read_query
from server.http.refusals import note_refusal
from server.http.replies import LET_GO, Reply, send_reply
from server.http.routes import Refusal, Route, as_problem

_UNROUTED = "(no such path)"

log = structlog.get_logger(__name__)


class Border(BaseRoute):
    """The whole API as one entry of Starlette's router: it takes every HTTP request."""

    def __init__(self, dependencies: Dependencies, routes: tuple[Route, ...]) -> None:
        self._dependencies = dependencies
        self._tree = Tree(routes)
        self._refusals = {
            _beginning(route.path): route.refused
            for route in routes
            if route.refused is not as_problem
        }
        """Of protocols that have words of their own, by what all of their paths begin with."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Every path is ours, so that even an unknown one is answered with a problem."""
        return (Match.FULL if scope["type"] == "http" else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        counters = self._dependencies.counters
        counters.in_flight += 1
        try:
            await self._answer(scope, receive, send)
        finally:
            counters.in_flight -= 1

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        call = Call(self._dependencies, scope, receive)
        found = self._tree.find(call.method, call.path)
        template = found.route.path if isinstance(found, Found) else _UNROUTED
        reply = await self._reply(call, found)
        took_s = time.perf_counter() - started
        self._dependencies.counters.answered(_asked(found), reply.status, took_s)
        try:
            await send_reply(
                send,
                reply,
                call.request_id,
                bodiless=call.method == "HEAD",
                let_go=scope.get(LET_GO),
            )
        finally:
            if self._dependencies.settings.access_log:
                _log_access(call, template, reply.status, time.perf_counter() - started)

    async def _reply(self, call: Call, found: Found[Route] | MethodMissing | None) -> Reply:
        try:
            route = _routed(call, found)
            await admit(call, route)
            # What load balancers append to a health check's path is no concern of ours.
            query = b"" if route.public and route.query is Query else call.raw_query
            call.query = read_query(query, route.query)
            if route.reads_body:
                call.body = await self._body(call, route.body_limit_bytes, call.receive)
            return await route.handler(call)
        except Exception as error:
            note_refusal(call, _asked(found), error)
            if kind_of(error) is INTERNAL:
                log.exception("request failed", request_id=call.request_id)
            return self._refusal(call, found)(error, call)

    def _refusal(self, call: Call, found: Found[Route] | MethodMissing | None) -> Refusal:
        refused: Refusal = self._refusals.get(_beginning(call.path), as_problem)
        if isinstance(found, Found):
            refused = found.route.refused
        return refused

    async def _body(self, call: Call, limit_bytes: int, receive: Receive) -> bytes:
        encoding = call.header(b"content-encoding")
        if encoding is not None and encoding.lower() != "identity":
            raise EncodedBody(encoding)
        declared = call.headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > limit_bytes:
            raise BodyTooLarge(limit_bytes)
        timeout_s = self._dependencies.settings.body_timeout_s
        message = await receive()
        if not message.get("more_body"):
            return _within(message.get("body", b""), limit_bytes)
        try:
            async with asyncio.timeout(timeout_s):
                return await _rest_of_body(message.get("body", b""), limit_bytes, receive)
        except TimeoutError as error:
            raise BodyTooSlow(timeout_s) from error


def _asked(found: Found[Route] | MethodMissing | None) -> Asked:
    return Asked(found.route.method, found.route.path) if isinstance(found, Found) else UNROUTED


def _beginning(path: str) -> str:
    return path.split("/", 2)[1] if path.startswith("/") else ""


def _routed(call: Call, found: Found[Route] | MethodMissing | None) -> Route:
    if found is None or "\0" in call.path:
        raise NoSuchRoute(call.path)
    if isinstance(found, MethodMissing):
        raise MethodNotAllowed(call.method, found.allowed)
    call.parameters = found.parameters
    return found.route


async def _rest_of_body(first: bytes, limit_bytes: int, receive: Receive) -> bytes:
    parts = [_within(first, limit_bytes)]
    size = len(first)
    while True:
        message = await receive()
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > limit_bytes:
            raise BodyTooLarge(limit_bytes)
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


def _within(body: bytes, limit_bytes: int) -> bytes:
    if len(body) > limit_bytes:
        raise BodyTooLarge(limit_bytes)
    return body


def _log_access(call: Call, template: str, status: int, took_s: float) -> None:
    log.info(
        "request",
        method=call.method,
        path=template,
        status=status,
        ms=round(took_s * 1000, 2),
        request_id=call.request_id,
        actor=call.account.id if call.account else None,
        sdk_key=call.served.key_id if call.served else None,
    )
