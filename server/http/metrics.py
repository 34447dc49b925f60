"""``GET /metrics``: figures for Prometheus, open to all or to who has the token for it."""

from __future__ import annotations

import hmac

from server.http.auth import bearer_token
from server.http.call import Call
from server.http.faults import Unauthenticated
from server.http.replies import Reply
from server.http.routes import Route

_WANTED = "send the token of HALYARD_METRICS_TOKEN: 'Authorization: Bearer <token>'"


async def read_metrics(call: Call) -> Reply:
    """All figures, in the text format that the client prefers."""
    exposition = call.dependencies.metrics
    if exposition.token:
        presented = bearer_token(call.headers.get(b"authorization"), _WANTED)
        if not hmac.compare_digest(presented, exposition.token.encode()):
            raise Unauthenticated(_WANTED, "invalid_token")
    content_type, text = await exposition.text(call.headers.get(b"accept", b"").decode("latin-1"))
    return Reply(200, text, content_type)


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/metrics",
        summary="Read figures for Prometheus",
        handler=read_metrics,
        permission=None,
        tag="operations",
        response=str,
        content_type="text/plain",
        also_as=(("application/openmetrics-text", str),),
        refuses=(Unauthenticated,),
    ),
)
