"""The project's log, and the installation's."""

from __future__ import annotations

from server.http.event_details import EventDetail, read_event
from server.http.event_streaming import FeedQuery, stream_events
from server.http.histories import EventListQuery, EventPage, list_events, list_system_events
from server.http.queries import MinSeqQuery
from server.http.routes import API, PROJECT, Route, reading

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
    reading(
        f"{PROJECT}/events/{{seq}}",
        read_event,
        "Read one event, with its entity before and after",
        permission="event:read",
        tag="history",
        query=MinSeqQuery,
        response=EventDetail,
    ),
    Route(
        method="GET",
        path=f"{PROJECT}/events/stream",
        summary="Be told of events as they come, as server-sent events",
        handler=stream_events,
        permission="event:read",
        tag="history",
        query=FeedQuery,
        headers=("Last-Event-ID",),
        response=str,
        content_type="text/event-stream",
    ),
    reading(
        f"{API}/events",
        list_system_events,
        "List what happened to accounts, roles, tokens and settings, as of a project",
        permission="account:read",
        tag="history",
        query=EventListQuery,
        response=EventPage,
    ),
)
