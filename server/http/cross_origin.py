"""What lets a page of any origin ask: CORS, for the routes that take public keys.

No credentials are allowed for, so that no cookie of anybody is ever sent along: whoever asks has a
key in a header or in the address. Under that condition ``*`` opens nothing that a program outside
of browsers could not ask as well (Fetch standard, "CORS protocol").
"""

from __future__ import annotations

from server.http.call import Call
from server.http.replies import Header, Reply

REQUEST_HEADERS = (
    "Authorization",
    "X-API-Key",
    "Content-Type",
    "If-None-Match",
    "Last-Event-ID",
    "Cache-Control",
    "*",
)
"""``*`` stands for whatever tracing adds; it does not include ``Authorization``."""

ANSWER_HEADERS = ("ETag", "Retry-After", "X-Request-Id")
"""What a page may read of an answer, beside what it always may."""

PREFLIGHT_AGE_S = 24 * 60 * 60
"""How long a browser need not ask again; each has a shorter bound of its own."""

_ANY_ORIGIN: Header = (b"access-control-allow-origin", b"*")
_ON_ANSWERS = (
    _ANY_ORIGIN,
    (b"access-control-expose-headers", ", ".join(ANSWER_HEADERS).encode()),
)


def allowed(reply: Reply) -> Reply:
    """The same reply, for a page of any origin to read."""
    return reply._replace(headers=(*reply.headers, *_ON_ANSWERS))


async def answer_preflight(_call: Call) -> Reply:
    """Tell a browser that it may ask."""
    headers = (
        _ANY_ORIGIN,
        (b"access-control-allow-methods", b"GET, POST"),
        (b"access-control-allow-headers", ", ".join(REQUEST_HEADERS).encode()),
        (b"access-control-max-age", b"%d" % PREFLIGHT_AGE_S),
    )
    return Reply(204, headers=headers)
