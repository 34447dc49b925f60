"""The log as it is read by people: who did what to what, when, and in whose words."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import msgspec
from halyard_protocol.codec import encode
from halyard_protocol.problems import Problem
from msgspec import Meta
from msgspec.structs import replace

from domain.upcast import MalformedEvent, UnknownEvent, decode_event
from eventstore.log import StoredEvent
from eventstore.searching import Search
from server.http.call import Call
from server.http.concurrency import moment
from server.http.faults import Malformed, NotFound
from server.http.paging import DEFAULT_LIMIT, MAX_LIMIT, Page, read_cursor, write_cursor
from server.http.project_keys import project_key
from server.http.queries import MAX_SEQ, MinSeqQuery
from server.http.replies import NDJSON, Reply, ok

if TYPE_CHECKING:
    from server.http.dependencies import Dependencies


class Actor(msgspec.Struct, frozen=True):
    """Who asked for it; ``name`` is null where nobody knows it any more."""

    id: str
    name: str | None


class EventEntity(msgspec.Struct, frozen=True):
    """What it happened to; ``environment`` is null for what is not of one."""

    kind: str
    key: str
    environment: str | None


class EventView(msgspec.Struct, frozen=True, rename="camel"):
    """One event of a log."""

    seq: int
    type: str
    entity: EventEntity
    revision: int
    """Of the entity, after this."""
    actor: Actor
    recorded_at: datetime
    command_id: str
    """Events of one command, or of one batch, share it."""
    correlation_id: str | None
    body: dict[str, Any]
    """What was decided, in the newest shape of its type; ``comment`` where there was one."""


LINES_PAGE = MAX_LIMIT
"""How many events are read at once where all of them are asked for."""

EventPage: TypeAlias = Page[EventView]


class HistoryQuery(MinSeqQuery, frozen=True):
    """Which part of a history to list, and in which order."""

    at: str | None = None
    """Only what had happened by a seq, or by an RFC 3339 time."""
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] | None = None
    """Of a page, 100 where left out; as NDJSON of all, no limit where left out."""
    cursor: str | None = None
    """``nextCursor`` of the page before."""
    order: Literal["newest", "oldest"] = "newest"
    environment: str | None = None
    type: str | None = None
    """An event type, such as ``FlagEnabled``."""
    actor: str | None = None
    """The id of an account."""
    since: Annotated[datetime, Meta(tz=True)] | None = None
    """Inclusive."""
    until: Annotated[datetime, Meta(tz=True)] | None = None
    """Exclusive."""
    after: Annotated[int, Meta(ge=0, le=MAX_SEQ)] | None = None
    """A seq, exclusive."""
    before: Annotated[int, Meta(ge=1, le=MAX_SEQ)] | None = None
    """A seq, exclusive."""


class EventListQuery(HistoryQuery, frozen=True):
    """Which events of a whole log to list."""

    entity_kind: str | None = None
    """``project``, ``environment``, ``flag``, ``segment`` or ``key``."""
    entity_key: str | None = None


async def list_events(call: Call) -> Reply:
    """A page of the project's log, or all of it as NDJSON. Also of a project that was deleted."""
    query = call.query_as(EventListQuery)
    search = replace(
        await _search(call, query), entity_kind=query.entity_kind, entity_key=query.entity_key
    )
    return await _reply(call, query, search)


async def entity_history(call: Call, kind: str, key: str) -> Reply:
    """The history of one flag or segment, in all environments. Raises :class:`NotFound`."""
    query = call.query_as(HistoryQuery)
    search = replace(await _search(call, query), entity_kind=kind, entity_key=key)
    ever = Search(entity_kind=kind, entity_key=key, limit=1)
    if not await call.dependencies.store.search(project_key(call), ever):
        raise NotFound(kind, key)
    return await _reply(call, query, search)


async def _search(call: Call, query: HistoryQuery) -> Search:
    log_id, store = project_key(call), call.dependencies.store
    end = (await store.head(log_id)).last_seq
    if end == 0:
        raise NotFound("project", log_id)
    if end < query.min_seq:
        await call.dependencies.writers.state(log_id, query.min_seq)
    before = query.before
    if query.at is not None:
        at = moment(query.at)
        upto = at if isinstance(at, int) else await store.seq_at(log_id, at)
        before = min(upto + 1, before or upto + 1)
    return Search(
        environment=query.environment,
        actor_id=query.actor,
        type=query.type,
        after=query.after,
        before=before,
        since=_in_utc("since", query.since),
        until=_in_utc("until", query.until),
        newest_first=query.order == "newest",
    )


async def _reply(call: Call, query: HistoryQuery, search: Search) -> Reply:
    if query.cursor is not None:
        search = _beyond(search, _seq_in(query.cursor))
    if NDJSON.decode() in (call.header(b"accept") or ""):
        return Reply(200, content_type=NDJSON, parts=_lines(call, search, query.limit))
    limit = query.limit or DEFAULT_LIMIT
    found = await call.dependencies.store.search(
        project_key(call), replace(search, limit=limit + 1)
    )
    page = found[:limit]
    more = write_cursor(str(page[-1].seq)) if len(found) > limit else None
    return ok(Page(await event_views(call.dependencies, page), more))


async def _lines(call: Call, search: Search, most: int | None) -> AsyncGenerator[bytes]:
    """Page after page; only what was there when the first was read, so that it ends."""
    log_id, store = project_key(call), call.dependencies.store
    if not search.newest_first:
        end = (await store.head(log_id)).last_seq + 1
        search = replace(search, before=min(end, search.before or end))
    left = most
    while left is None or left > 0:
        limit = LINES_PAGE if left is None else min(left, LINES_PAGE)
        page = await store.search(log_id, replace(search, limit=limit))
        for view in await event_views(call.dependencies, page):
            yield encode(view) + b"\n"
        if len(page) < limit:
            return
        left = None if left is None else left - len(page)
        search = _beyond(search, page[-1].seq)


def _beyond(search: Search, seq: int) -> Search:
    """The same search after the event of this seq, in its order."""
    if search.newest_first:
        return replace(search, before=min(seq, search.before or seq))
    return replace(search, after=max(seq, search.after or 0))


def _in_utc(name: str, time: datetime | None) -> datetime | None:
    """A time as the database holds it. Raises :class:`Malformed` where UTC cannot write it."""
    try:
        return None if time is None else time.astimezone(UTC)
    except OverflowError as error:
        raise Malformed(Problem(f"?{name}", "lies in the years 1 to 9999 of UTC")) from error


def _seq_in(cursor: str) -> int:
    last = read_cursor(cursor) or ""
    if not (last.isascii() and last.isdigit() and int(last) <= MAX_SEQ):
        raise Malformed(Problem("?cursor", "is not one that was given out"))
    return int(last)


async def event_views(
    dependencies: Dependencies, events: Sequence[StoredEvent]
) -> tuple[EventView, ...]:
    """Events as the API writes them, with the names of who caused them."""
    names = await dependencies.actor_names({event.actor_id for event in events}) if events else {}
    return tuple(_view(event, names.get(event.actor_id)) for event in events)


def _view(event: StoredEvent, actor_name: str | None) -> EventView:
    return EventView(
        event.seq,
        event.type,
        EventEntity(event.entity_kind, event.entity_key, event.environment),
        event.revision,
        Actor(event.actor_id, actor_name),
        event.recorded_at,
        event.command_id,
        event.correlation_id,
        _body(event),
    )


def _body(event: StoredEvent) -> Any:
    """The event in its newest shape; as it was stored where this version cannot read it."""
    try:
        return decode_event(event.type, event.schema_version, event.body)
    except (UnknownEvent, MalformedEvent):
        return msgspec.Raw(event.body)
