"""The route of the log as it grows: who may listen, to what, from where on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

from halyard_protocol.problems import Problem
from msgspec import Meta
from msgspec.structs import replace

from domain.errors import NotPermitted
from domain.facts import EntityKind
from eventstore.log import SYSTEM_LOG
from eventstore.searching import Search
from server.http.authorisation import Hidden, Sight, require
from server.http.call import Call
from server.http.concurrency import read_seq
from server.http.event_feed import STALL_S, TOO_SLOW, Ending, Read
from server.http.event_filters import ProjectEventFilter, search_for
from server.http.event_stream import EVENT_STREAM
from server.http.event_views import EventView, event_views
from server.http.faults import Malformed, TooManyStreams, Unauthenticated
from server.http.histories import reached_end
from server.http.project_keys import project_key
from server.http.queries import MAX_SEQ
from server.http.replies import Reply

PAGE = 200
"""Events that are told together at most."""
WALKED = 8_000

_LAST_EVENT_ID = b"last-event-id"


class FeedQuery(ProjectEventFilter, frozen=True):
    """Which events of a log to be told, and after which."""

    after: Annotated[int, Meta(ge=0, le=MAX_SEQ)] | None = None
    """A seq, exclusive; left out: only what comes. ``Last-Event-ID`` goes before it."""
    entity_kind: EntityKind | None = None
    entity_key: str | None = None


async def stream_events(call: Call) -> Reply:
    """The project's log from a seq on, for as long as somebody listens."""
    query, log_id = call.query_as(FeedQuery), project_key(call)
    Sight(call, log_id).require(query.environment)
    end = await reached_end(call, log_id, query.min_seq)
    after = _after(call, query, end)
    search = replace(
        await search_for(call.dependencies.store, log_id, query),
        entity_kind=query.entity_kind,
        entity_key=query.entity_key,
        limit=PAGE,
    )
    feeds = call.dependencies.event_feeds
    if not feeds.admits(call.actor_id):
        raise TooManyStreams
    standing = _Standing(call, log_id)
    read = _reader(call, log_id, search)
    parts = feeds.follow(
        call.actor_id, after, read, standing.ending, listen=standing.listen, receive=call.receive
    )
    return Reply(200, content_type=EVENT_STREAM, parts=parts, stall_s=STALL_S, last_word=TOO_SLOW)


def _after(call: Call, query: FeedQuery, end: int) -> int:
    """Raises :class:`Malformed` for a seq that the log does not have."""
    header = call.header(_LAST_EVENT_ID)
    if header:
        seq = read_seq(header)
        if seq is None or seq > end:
            raise Malformed(Problem("Last-Event-ID", f"is a seq up to {end}, where the log ends"))
        return seq
    if query.after is not None and query.after > end:
        raise Malformed(Problem("?after", f"the log ends at seq {end}"))
    return end if query.after is None else query.after


def _reader(call: Call, log_id: str, search: Search) -> Read:
    store = call.dependencies.store

    async def read(after: int) -> tuple[Sequence[EventView], int, bool]:
        end = (await store.head(log_id)).last_seq
        part = await store.search_slice(
            log_id, replace(search, after=after, before=end + 1), WALKED
        )
        reached = max(after, end) if part.reached is None else part.reached
        return await event_views(call, part.events), reached, part.reached is None

    return read


class _Standing:
    """Whether a caller may listen on: asked anew, since tokens, accounts and roles change."""

    def __init__(self, call: Call, log_id: str) -> None:
        self._call = call
        self._log_id = log_id
        self._installation_seq = 0
        """As of which the answer must be, at least."""

    def listen(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Hear of the log, and of the installation's, where tokens and roles are."""
        on_growth = self._call.dependencies.writers.on_growth

        def changed(seq: int) -> None:
            self._installation_seq = max(self._installation_seq, seq)
            wake()

        stop_log = on_growth(self._log_id, lambda _seq: wake())
        stop_installation = on_growth(SYSTEM_LOG, changed)

        def stop() -> None:
            stop_log()
            stop_installation()

        return stop

    async def ending(self) -> Ending | None:
        """Why the caller must not listen any more."""
        call, dependencies = self._call, self._call.dependencies
        try:
            await dependencies.writers.system(self._installation_seq)
            call.account, call.credential = await dependencies.authenticator.identify(call)
            require(call, "event:read", self._log_id)
            Sight(call, self._log_id).require(call.query_as(FeedQuery).environment)
        except Unauthenticated:
            return "unauthenticated"
        except (NotPermitted, Hidden):
            return "forbidden"
        return None
