"""Failures as OFREP writes them: ``errorCode``, ``errorDetails``, and ``key`` for a single flag.

Providers read the body of a 400, a 404 and a 500, and take one that lacks any of these for a fault
of their own. Statuses, headers and sentences are otherwise those of the API's problems.
"""

from __future__ import annotations

import msgspec
from halyard_protocol.codec import encode
from halyard_protocol.openfeature import ErrorCode

from server.http.call import Call
from server.http.cross_origin import allowed
from server.http.problems import problem_reply
from server.http.replies import JSON, Header, Reply

_STATUSES = {422: 400}
"""Where OFREP has no such status: what stands in its place."""


class Failure(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The body of every answer that is not a success."""

    error_code: ErrorCode
    error_details: str
    key: str | None = None


class _Problem(msgspec.Struct, frozen=True):
    detail: str


_problem_decoder = msgspec.json.Decoder(_Problem)


def failed(
    call: Call, status: int, code: ErrorCode, details: str, headers: tuple[Header, ...] = ()
) -> Reply:
    """A failure, for the page that asks to read."""
    failure = Failure(code, details, call.parameters.get("key"))
    return allowed(call, Reply(status, encode(failure), JSON, headers))


def status_of(status: int) -> int:
    """What stands for a problem's status here."""
    return _STATUSES.get(status, status)


def refused(error: BaseException, call: Call) -> Reply:
    """What becomes of an exception."""
    problem = problem_reply(error, call.request_id)
    details = _problem_decoder.decode(problem.body).detail
    return failed(call, status_of(problem.status), "GENERAL", details, problem.headers)
