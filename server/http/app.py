"""The application: a Starlette shell around :class:`~server.http.border.Border`.

Starlette gives the lifespan and a place for what comes beside the API (a dashboard's pages, static
files); the API itself is one entry of its router.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Lifespan

from server.http.border import Border
from server.http.dependencies import Dependencies
from server.http.routes import Route
from server.http.table import ROUTES


def create_app(
    dependencies: Dependencies,
    *,
    routes: tuple[Route, ...] = ROUTES,
    beside: tuple[BaseRoute, ...] = (),
    lifespan: Lifespan[Starlette] | None = None,
) -> Starlette:
    """The application.

    Args:
        dependencies: what the handlers stand on.
        routes: those of the API that this process serves.
        beside: routes that are tried before the API's.
        lifespan: as Starlette has it.
    """
    return _Shell(routes=[*beside, Border(dependencies, routes)], lifespan=lifespan)


class _Shell(Starlette):
    """Without the layers that turn exceptions into answers: the border lets none through.

    What is raised while an answer is sent is logged, and ends the connection, as the server has it.
    """

    def build_middleware_stack(self) -> ASGIApp:
        """The router itself."""
        return self.router
