"""The log as it is read by people: who did what to what, when, from where, and in whose words.

A page takes a bounded time whatever is asked for. Where a filter matches few of many events, the
log is looked through in slices until the page is full or the time is over; then the page says how
far it came, and its cursor goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

from halyard_protocol.codec import encode
from halyard_protocol.problems import Problem
from msgspec import Meta
from msgspec.structs import replace

from domain.facts import EntityKind
from eventstore.log import SYSTEM_LOG, StoredEvent
from eventstore.searching import Search, is_walked
from server.http.authorisation import Sight
from server.http.call import Call
from server.http.concurrency import moment, read_seq
from server.http.event_filters import ProjectEventFilter, search_for
from server.http.event_views import EventView, event_views
from server.http.faults import Malformed, NotFound
from server.http.paging import DEFAULT_LIMIT, MAX_LIMIT, Page, read_cursor, write_cursor
from server.http.project_keys import project_key
from server.http.queries import MAX_SEQ
from server.http.reads import SEQ_HEADER
from server.http.replies import NDJSON, Reply, ok

LINES_PAGE = MAX_LIMIT
"""How many events are read at once where all of them are asked for."""
WALKED = 8_000
"""Events that are looked at in one go."""
WALKED_FOR_LINES = 20_000
LOOKING_S = 0.01
"""After so long a page is given as it is."""


class EventPage(Page[EventView], frozen=True, rename="camel"):
    """One page of a log. With a cursor it may hold fewer events than asked for, even none."""

    reached: int | None = None
    """The seq up to which all was looked at, where that is not the last event's."""


class HistoryQuery(ProjectEventFilter, frozen=True):
    """Which part of a history to list, and in which order."""

    at: str | None = None
    """Only what had happened by a seq, or by an RFC 3339 time."""
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] | None = None
    """Of a page, 100 where left out; as NDJSON of all, no limit where left out."""
    cursor: str | None = None
    """``nextCursor`` of the page before."""
    order: Literal["newest", "oldest"] = "newest"
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

    entity_kind: EntityKind | None = None
    entity_key: str | None = None


async def list_events(call: Call) -> Reply:
    """A page of the project's log, or all of it as NDJSON. Also of a project that was deleted."""
    log_id = project_key(call)
    Sight(call, log_id).require(call.query_as(EventListQuery).environment)
    return await _list(call, log_id)


async def list_system_events(call: Call) -> Reply:
    """The same of the installation: its accounts, roles, tokens and settings."""
    return await _list(call, SYSTEM_LOG)


async def _list(call: Call, log_id: str) -> Reply:
    query = call.query_as(EventListQuery)
    search = replace(
        await _search(call, log_id, query),
        entity_kind=query.entity_kind,
        entity_key=query.entity_key,
    )
    return await _reply(call, log_id, query, search)


async def entity_history(call: Call, kind: str, key: str) -> Reply:
    """The history of one flag or segment, in all environments. Raises :class:`NotFound`."""
    query, log_id = call.query_as(HistoryQuery), project_key(call)
    if kind != "segment":  # which is the same in all environments
        Sight(call, log_id).require(query.environment)
    search = replace(await _search(call, log_id, query), entity_kind=kind, entity_key=key)
    ever = Search(entity_kind=kind, entity_key=key, limit=1)
    if not await call.dependencies.store.search(log_id, ever):
        raise NotFound(kind, key)
    return await _reply(call, log_id, query, search)


async def reached_end(call: Call, log_id: str, min_seq: int) -> int:
    """The seq of a log's newest event, ``min_seq`` at least. Raises :class:`NotFound`."""
    store, writers = call.dependencies.store, call.dependencies.writers
    end = (await store.head(log_id)).last_seq
    if end == 0:
        raise NotFound("project", log_id)
    if end < min_seq:
        if log_id == SYSTEM_LOG:
            return (await writers.system(min_seq)).seq
        return (await writers.state(log_id, min_seq)).seq
    return end


async def _search(call: Call, log_id: str, query: HistoryQuery) -> Search:
    store = call.dependencies.store
    await reached_end(call, log_id, query.min_seq)
    before = query.before
    if query.at is not None:
        at = moment(query.at)
        upto = at if isinstance(at, int) else await store.seq_at(log_id, at)
        before = min(upto + 1, before or upto + 1)
    return replace(
        await search_for(store, log_id, query),
        after=query.after,
        before=before,
        since=_in_utc("since", query.since),
        until=_in_utc("until", query.until),
        newest_first=query.order == "newest",
    )


async def _reply(call: Call, log_id: str, query: HistoryQuery, search: Search) -> Reply:
    if query.cursor is not None:
        search = _beyond(search, _seq_in(query.cursor))
    if NDJSON.decode() in (call.header(b"accept") or ""):
        return await _lines_reply(call, log_id, query, search)
    limit = query.limit or DEFAULT_LIMIT
    page, reached = await _page(call, log_id, search, limit)
    more = None if reached is None else write_cursor(str(reached))
    last = page[-1].seq if page else None
    views = await event_views(call, page)
    return ok(EventPage(views, more, None if reached == last else reached))


async def _page(
    call: Call, log_id: str, search: Search, limit: int
) -> tuple[Sequence[StoredEvent], int | None]:
    """What a page holds, and the seq after which the next one goes on; None after the last."""
    store = call.dependencies.store
    if not is_walked(search):
        found = await store.search(log_id, replace(search, limit=limit + 1))
        return found[:limit], found[limit - 1].seq if len(found) > limit else None
    kept: list[StoredEvent] = []
    until_s = time.monotonic() + LOOKING_S
    while True:
        wanted = replace(search, limit=limit + 1 - len(kept))
        part = await store.search_slice(log_id, wanted, WALKED)
        kept += part.events
        if len(kept) > limit:
            return kept[:limit], kept[limit - 1].seq
        if part.reached is None or time.monotonic() >= until_s:
            return kept, part.reached
        search = _beyond(search, part.reached)


async def _lines_reply(call: Call, log_id: str, query: HistoryQuery, search: Search) -> Reply:
    """All of it; the header says where the log ends, so that a reader can tell how far it is."""
    end = (await call.dependencies.store.head(log_id)).last_seq
    # Only what is there now, so that it ends.
    search = replace(search, before=min(end + 1, search.before or end + 1))
    lines = _lines(call, log_id, search, query.limit)
    return Reply(200, content_type=NDJSON, headers=((SEQ_HEADER, b"%d" % end),), parts=lines)


async def _lines(
    call: Call, log_id: str, search: Search, most: int | None
) -> AsyncGenerator[bytes]:
    """Page after page, until the end or so many events."""
    left = most
    while left is None or left > 0:
        limit = LINES_PAGE if left is None else min(left, LINES_PAGE)
        part = await call.dependencies.store.search_slice(
            log_id, replace(search, limit=limit), WALKED_FOR_LINES
        )
        for view in await event_views(call, part.events):
            yield encode(view) + b"\n"
        if part.reached is None:
            return
        left = None if left is None else left - len(part.events)
        search = _beyond(search, part.reached)


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
    seq = read_seq(read_cursor(cursor) or "")
    if seq is None:
        raise Malformed(Problem("?cursor", "is not one that was given out"))
    return seq
