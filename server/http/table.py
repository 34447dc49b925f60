"""Every route of the API."""

from __future__ import annotations

from server.http import (
    environments,
    events,
    flag_settings,
    flags,
    operations,
    posted,
    projection_status,
    projects,
    sdk_keys,
    segments,
)
from server.http.routes import Route

ROUTES: tuple[Route, ...] = (
    *projects.ROUTES,
    *environments.ROUTES,
    *sdk_keys.ROUTES,
    *flags.ROUTES,
    *flag_settings.ROUTES,
    *segments.ROUTES,
    *posted.ROUTES,
    *events.ROUTES,
    *projection_status.ROUTES,
    *operations.ROUTES,
)
