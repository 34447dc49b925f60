"""The project's log."""

from __future__ import annotations

from server.http.histories import EventListQuery, EventPage, list_events
from server.http.routes import PROJECT, Route, reading

ROUTES: tuple[Route, ...] = (
    reading(
        f"{PROJECT}/events",
        list_events,
        "List events, newest first; all of them as NDJSON where Accept asks for it",
        permission="event:read",
        tag="history",
        query=EventListQuery,
        response=EventPage,
    ),
)
