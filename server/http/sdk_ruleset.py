"""The whole ruleset of a server key's environment, for SDKs that poll or start without a stream.

The bytes are those of the stream's ``snapshot``; the entity tag names the wire epoch and the last
change, so that every process which has the same documents answers 304 for it.
"""

from __future__ import annotations

from typing import Any

from server.http.call import Call
from server.http.negotiation import accepts_gzip, has_already
from server.http.reads import SEQ_HEADER
from server.http.replies import JSON, NOT_MODIFIED, Header, Reply
from server.http.routes import SERVER_KEYS, Route

_CACHE_CONTROL = b"private, no-cache"
"""To be kept by the client alone, and asked for again each time."""


async def read_ruleset(call: Call) -> Reply:
    """The snapshot, or 304."""
    served = call.environment
    gzipped = accepts_gzip(call.header(b"accept-encoding"))
    plain_tag, gzip_tag = served.etag, f"{served.etag}-gzip"
    headers: tuple[Header, ...] = (
        (b"etag", b'"%s"' % (gzip_tag if gzipped else plain_tag).encode()),
        (b"vary", b"Accept-Encoding"),
        (SEQ_HEADER, b"%d" % served.seq),
    )
    if has_already(call.header(b"if-none-match"), plain_tag, gzip_tag):
        return Reply(NOT_MODIFIED, headers=headers, cache_control=_CACHE_CONTROL)
    if not gzipped:
        return Reply(200, await served.snapshot(), JSON, headers, cache_control=_CACHE_CONTROL)
    body = await served.compressed_snapshot()
    headers = (*headers, (b"content-encoding", b"gzip"))
    return Reply(200, body, JSON, headers, cache_control=_CACHE_CONTROL)


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/sdk/v1/ruleset",
        summary="Read the whole ruleset of the key's environment",
        handler=read_ruleset,
        permission=None,
        sdk_keys=SERVER_KEYS,
        evaluates=False,
        tag="evaluation",
        headers=("If-None-Match",),
        response=dict[str, Any],
    ),
)
