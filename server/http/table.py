"""Every route of the API, and the one that describes them all."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from server.http import (
    analytics,
    bulk,
    change_requests,
    comparing,
    contexts,
    copying,
    dependence,
    differences,
    environments,
    evaluation,
    events,
    exports,
    feature_flags,
    flag_settings,
    flags,
    imports,
    installation_settings,
    logins,
    metrics,
    operations,
    posted,
    projection_status,
    projects,
    provider_logins,
    refusals,
    reverts,
    rights,
    sdk_keys,
    sdk_ruleset,
    segment_flags,
    segments,
    tokens,
    users,
    webhook_deliveries,
    webhooks,
)
from server.http.browsable import routes as browsable
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
    *logins.ROUTES,
    *users.ROUTES,
    *provider_logins.ROUTES,
    *installation_settings.ROUTES,
    *tokens.ROUTES,
    *projects.ROUTES,
    *exports.ROUTES,
    *imports.ROUTES,
    *environments.ROUTES,
    *sdk_keys.ROUTES,
    *flags.ROUTES,
    *bulk.ROUTES,
    *dependence.ROUTES,
    *copying.ROUTES,
    *comparing.ROUTES,
    *flag_settings.ROUTES,
    *segments.ROUTES,
    *segment_flags.ROUTES,
    *webhooks.ROUTES,
    *webhook_deliveries.ROUTES,
    *analytics.ROUTES,
    *contexts.ROUTES,
    *posted.ROUTES,
    *events.ROUTES,
    *differences.ROUTES,
    *reverts.ROUTES,
    *change_requests.ROUTES,
    *evaluation.ROUTES,
    *feature_flags.ROUTES,
    *sdk_ruleset.ROUTES,
    *ofrep.ROUTES,
    *projection_status.ROUTES,
    *operations.ROUTES,
    *rights.ROUTES,
    *refusals.ROUTES,
    *metrics.ROUTES,
    *browsable.ROUTES,
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
