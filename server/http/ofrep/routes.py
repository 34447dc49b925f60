"""OFREP's routes, and what answers them."""

from __future__ import annotations

import asyncio
from time import perf_counter, time_ns
from typing import Any
from urllib.parse import quote

import msgspec
from halyard_protocol.context import Context
from halyard_protocol.evaluator import Evaluator
from halyard_protocol.openfeature import ErrorCode, ResolutionReason

from server.http.call import Call
from server.http.cross_origin import allowed, answer_preflight
from server.http.event_stream import (
    EVENT_STREAM,
    position_of,
    read_position,
    refetch,
)
from server.http.faults import TooManyStreams
from server.http.negotiation import has_already
from server.http.ofrep.answers import Answers, bulk_body, bulk_ending, digest
from server.http.ofrep.refusals import Failure, failed, refused
from server.http.ofrep.requests import BadRequest, EvaluationRequest, read_context
from server.http.queries import TolerantQuery
from server.http.replies import NOT_MODIFIED, Reply
from server.http.routes import ALL_KEYS, Route

FLAGS = "/ofrep/v1/evaluate/flags"
EVENTS = "/ofrep/v1/events"

INACTIVITY_DELAY_S = 120
"""How long a page that nobody looks at should keep its stream."""
REACHED_WITHIN_S = 1.0
"""How long an answer waits for a change that its client was told of by another process."""
SLICE = 32
"""Flags that are evaluated before the clock is looked at: some may be compiled on the way."""
TURN_S = 0.003
"""After this long the event loop gets its turn."""

_TAG = "openfeature"


class FlagQuery(TolerantQuery, frozen=True):
    """The parameters of an evaluation; providers may add any of their users' own."""

    flag_config_etag: str = ""
    """``etag`` of the event because of which this is asked: it is answered as of that, or later."""
    flag_config_last_modified: str = ""


class EventsQuery(TolerantQuery, frozen=True):
    """The parameters of a stream, for clients that can set no headers."""

    key: str = ""
    """A listening key, as a bulk answer's ``eventStreams`` has it."""
    last_event_id: str = ""
    """In place of the header."""


class Evaluated(msgspec.Struct, frozen=True):
    """One flag's success; ``value`` is left out where the caller's default is served."""

    key: str
    reason: ResolutionReason
    variant: str
    metadata: dict[str, bool | int | float | str]
    value: Any = None


class BulkEntry(msgspec.Struct, frozen=True, rename="camel"):
    """One flag of a bulk answer: a success, or what kept it from being one."""

    key: str
    reason: ResolutionReason | None = None
    variant: str = ""
    metadata: dict[str, bool | int | float | str] = {}
    value: Any = None
    error_code: ErrorCode | None = None
    error_details: str = ""


class Endpoint(msgspec.Struct, frozen=True, rename="camel"):
    """Where a stream is, on the server that was asked."""

    request_uri: str


class EventStreamHint(msgspec.Struct, frozen=True, rename="camel"):
    """A stream that tells of changes."""

    type: str
    endpoint: Endpoint
    inactivity_delay_sec: int


class BulkEvaluated(msgspec.Struct, frozen=True, rename="camel"):
    """Every flag that the key may see, in the order of their keys."""

    flags: tuple[BulkEntry, ...]
    metadata: dict[str, str]
    event_streams: tuple[EventStreamHint, ...] = ()


async def evaluate_flag(call: Call) -> Reply:
    """One flag for one context."""
    try:
        context = read_context(call.body)
    except BadRequest as error:
        return failed(call, 400, error.error_code, str(error))
    await _reach(call)
    evaluator, answers = call.dependencies.ofrep_answers.of(call.environment)
    key = call.parameters["key"]
    detail = answers.one(evaluator, key, context, _now_ms())
    if detail is None:
        return failed(call, 404, "FLAG_NOT_FOUND", f"the environment has no flag '{key}'")
    status = 400 if detail.reason.kind == "ERROR" else 200
    return allowed(call, Reply(status, answers.written(key, detail)))


async def evaluate_flags(call: Call) -> Reply:
    """Every flag for one context, or 304 where that is what the client has."""
    try:
        context = read_context(call.body)
    except BadRequest as error:
        return failed(call, 400, error.error_code, str(error))
    await _reach(call)
    evaluator, answers = call.dependencies.ofrep_answers.of(call.environment)
    body = bulk_body(await _written(answers, evaluator, context), _ending(call))
    tag = digest(body)
    headers = ((b"etag", b'"%s"' % tag.encode()),)
    if has_already(call.header(b"if-none-match"), tag):
        return allowed(call, Reply(NOT_MODIFIED, headers=headers))
    return allowed(call, Reply(200, body, headers=headers))


async def _written(answers: Answers, evaluator: Evaluator, context: Context) -> list[bytes]:
    """All answers, as of one instant and one ruleset, however long it takes."""
    now_ms, began_s = _now_ms(), perf_counter()
    written: list[bytes] = []
    for start in range(0, len(answers), SLICE):
        if perf_counter() - began_s > TURN_S:
            await asyncio.sleep(0)
            began_s = perf_counter()
        written += answers.some(evaluator, context, now_ms, start, start + SLICE)
    return written


def _ending(call: Call) -> bytes:
    served = call.environment
    uri = f"{EVENTS}?key={quote(served.listening_key, safe='')}"
    # A client that is sent to a stream that refuses it comes back every second. One that is sent to
    # none has none for as long as it lives, so that a drain, which is short, is no reason.
    has_room = call.dependencies.event_streams.has_room(served)
    return bulk_ending(served.environment, uri if has_room else None, INACTIVITY_DELAY_S)


async def _reach(call: Call) -> None:
    """Wait, bounded, for the change because of which this is asked."""
    position = read_position(call.query_as(FlagQuery).flag_config_etag)
    served = call.environment
    if position <= position_of(served):
        return
    news = asyncio.Event()
    stop = served.on_change(news.set)
    try:
        async with asyncio.timeout(REACHED_WITHIN_S):
            while position_of(served) < position:
                news.clear()
                await news.wait()
    except TimeoutError:
        pass  # what there is, is the best answer
    finally:
        stop()


def _now_ms() -> int:
    return time_ns() // 1_000_000


async def follow_events(call: Call) -> Reply:
    """Be told of changes."""
    streams = call.dependencies.event_streams
    served = call.environment
    if not streams.admits(served):
        raise TooManyStreams
    seen = call.header(b"last-event-id") or call.query_as(EventsQuery).last_event_id
    parts = streams.follow(served, call.receive, seen, refetch, call.origin)
    return allowed(call, Reply(content_type=EVENT_STREAM, parts=parts))


def _evaluating(
    path: str, handler: Any, summary: str, response: Any, headers: tuple[str, ...] = ()
) -> Route:
    return Route(
        method="POST",
        path=path,
        summary=summary,
        handler=handler,
        permission=None,
        sdk_keys=ALL_KEYS,
        tag=_TAG,
        query=FlagQuery,
        request=EvaluationRequest,
        body_optional=True,
        headers=headers,
        response=response,
        refused=refused,
        failure=Failure,
    )


def _preflight(path: str) -> Route:
    return Route(
        method="OPTIONS",
        path=path,
        summary="Let pages of any origin ask",
        handler=answer_preflight,
        permission=None,
        tag=_TAG,
        status=204,
    )


ROUTES: tuple[Route, ...] = (
    _evaluating(
        FLAGS,
        evaluate_flags,
        "Evaluate every flag for a context",
        BulkEvaluated,
        ("If-None-Match",),
    ),
    _evaluating(f"{FLAGS}/{{key:path}}", evaluate_flag, "Evaluate a flag for a context", Evaluated),
    Route(
        method="GET",
        path=EVENTS,
        summary="Be told of changes, as server-sent events",
        handler=follow_events,
        permission=None,
        sdk_keys=ALL_KEYS,
        listens=True,
        evaluates=False,
        tag=_TAG,
        query=EventsQuery,
        headers=("Last-Event-ID",),
        response=str,
        content_type=EVENT_STREAM.decode(),
        refuses=(TooManyStreams,),
        refused=refused,
        failure=Failure,
    ),
    *(_preflight(path) for path in (FLAGS, f"{FLAGS}/{{key:path}}", EVENTS)),
)
