"""What lets a page of another origin ask: CORS, for the routes that take public keys.

No credentials are allowed for, so that no cookie of anybody is ever sent along: whoever asks has a
key in a header or in the address. Under that condition ``*`` opens nothing that a program outside
of browsers could not ask as well (Fetch standard, "CORS protocol").

Where the key names its origins, what is answered to one of them is for that one to read. A
preflight has no key: it is answered to any page, and the request behind it is what is refused. A
refusal is for any page to read: it holds nothing but the reason, and a page that could not read it
would take the server for unreachable and try again.
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

_ALLOW_ORIGIN = b"access-control-allow-origin"
_ANY_ORIGIN: Header = (_ALLOW_ORIGIN, b"*")
_READABLE: Header = (b"access-control-expose-headers", ", ".join(ANSWER_HEADERS).encode())
_VARIES: Header = (b"vary", b"Origin")


def allowed(call: Call, reply: Reply) -> Reply:
    """The same reply, for the page that asks to read, or for any where the key is for any."""
    return reply._replace(headers=(*reply.headers, *_allowing(call), _READABLE))


def _allowing(call: Call) -> tuple[Header, ...]:
    if call.served is None or call.served.is_for_any_page:
        return (_ANY_ORIGIN,)
    if call.origin is None:
        return (_VARIES,)
    return (_ALLOW_ORIGIN, call.origin.encode("latin-1")), _VARIES


async def answer_preflight(_call: Call) -> Reply:
    """Tell a browser that it may ask."""
    headers = (
        _ANY_ORIGIN,
        (b"access-control-allow-methods", b"GET, POST"),
        (b"access-control-allow-headers", ", ".join(REQUEST_HEADERS).encode()),
        (b"access-control-max-age", b"%d" % PREFLIGHT_AGE_S),
    )
    return Reply(204, headers=headers)
