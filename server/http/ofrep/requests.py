"""From the body of a request to the context that it asks for.

Any body is legal that a provider may send: none at all, an empty one, one without a context, a
context without a targeting key. What is not legal is refused in OFREP's words.
"""

from __future__ import annotations

from typing import Any

import msgspec
from halyard_protocol.codec import UNREADABLE
from halyard_protocol.context import Context, InvalidContext
from halyard_protocol.openfeature import ErrorCode, context_of


class BadRequest(Exception):
    """A request that cannot be evaluated: 400. ``str()`` is the ``errorDetails``."""

    def __init__(self, error_code: ErrorCode, details: str) -> None:
        super().__init__(details)
        self.error_code = error_code


class EvaluationRequest(msgspec.Struct, frozen=True):
    """The body of both evaluations. Members that are not known are ignored."""

    context: dict[str, Any] | None = None
    """``targetingKey`` and the attributes beside each other."""


_decoder = msgspec.json.Decoder(EvaluationRequest)


def read_context(body: bytes) -> Context:
    """The context in a body. Raises :class:`BadRequest`."""
    try:
        request = _decoder.decode(body) if body.strip() else EvaluationRequest()
        return context_of(request.context or {})
    except InvalidContext as error:
        raise BadRequest("INVALID_CONTEXT", f"/context{error.field}: {error.reason}") from error
    except msgspec.ValidationError as error:
        raise BadRequest("INVALID_CONTEXT", f"the body is not as it must be: {error}") from error
    except UNREADABLE as error:
        raise BadRequest("PARSE_ERROR", f"the body is not JSON: {error}") from error
