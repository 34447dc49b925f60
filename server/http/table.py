"""Every route of the API, and the one that describes them all."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from server.http import (
    analytics,
    contexts,
    environments,
    evaluation,
    events,
    flag_settings,
    flags,
    metrics,
    operations,
    posted,
    projection_status,
    projects,
    sdk_keys,
    sdk_ruleset,
    segments,
)
from server.http.call import Call
from server.http.ofrep import routes as ofrep
from server.http.openapi import describe
from server.http.replies import Reply
from server.http.routes import Route, reading


async def read_description(_call: Call) -> Reply:
    """The table as OpenAPI."""
    return Reply(200, _description())


@cache
def _description() -> bytes:
    return msgspec.json.encode(describe(ROUTES))


ROUTES: tuple[Route, ...] = (
    *projects.ROUTES,
    *environments.ROUTES,
    *sdk_keys.ROUTES,
    *flags.ROUTES,
    *flag_settings.ROUTES,
    *segments.ROUTES,
    *analytics.ROUTES,
    *contexts.ROUTES,
    *posted.ROUTES,
    *events.ROUTES,
    *evaluation.ROUTES,
    *sdk_ruleset.ROUTES,
    *ofrep.ROUTES,
    *projection_status.ROUTES,
    *operations.ROUTES,
    *metrics.ROUTES,
    reading(
        "/openapi.json",
        read_description,
        "This description, as OpenAPI 3.1",
        permission=None,
        tag="operations",
        response=dict[str, Any],
    ),
)

KEY_ROUTES = tuple(route for route in ROUTES if route.sdk_keys or route in ofrep.ROUTES)
"""What a process serves that has the gateway, and not the rest of the API."""
