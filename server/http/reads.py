"""What every read of a project begins with: the state that it is about."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeAlias, TypeVar

from halyard_protocol.problems import Problem

from domain.facts import Entity
from domain.pages import pages_of
from domain.state import (
    Environment,
    FlagDefinition,
    FlagSettings,
    ProjectState,
    SdkKey,
    SegmentDefinition,
)
from server.http.authorisation import visible
from server.http.call import Call
from server.http.concurrency import etag, moment
from server.http.faults import Malformed, NotFound
from server.http.project_keys import project_key
from server.http.queries import MinSeqQuery, ReadQuery, SortedListQuery
from server.http.replies import Header, Reply, ok
from server.searching.flag_index import SLICE_S, FlagIndex
from server.searching.orders import sort_by
from server.searching.past_flags import PastFlags

SEQ_HEADER = b"halyard-seq"
"""Of each answer that was read from a state: as of which seq."""


Row = TypeVar("Row")


class Seen:
    """A project's state as of one seq, and how to look things up in it."""

    __slots__ = ("last_at", "seq", "state")

    def __init__(self, state: ProjectState, seq: int, last_at: datetime) -> None:
        self.state = state
        self.seq = seq
        self.last_at = last_at
        """When the event at ``seq`` was recorded."""

    def environment(self, call: Call) -> Environment:
        """The environment in the path. Raises :class:`NotFound`, as all of these do."""
        return self.environment_called(call.parameters["environment"])

    def environment_called(self, key: str) -> Environment:
        """An environment by its key."""
        return _found(self.state.environments.get(key), "environment", key)

    def flag(self, call: Call) -> FlagDefinition:
        """The flag in the path."""
        key = call.parameters["flag"]
        return _found(self.state.flags.get(key), "flag", key)

    def settings(self, call: Call) -> FlagSettings:
        """The flag in the path, as it is set in the environment in the path."""
        flag, environment = self.flag(call), self.environment(call)
        return self.state.settings[flag.key, environment.key]

    def segment(self, call: Call) -> SegmentDefinition:
        """The segment in the path."""
        key = call.parameters["segment"]
        return _found(self.state.segments.get(key), "segment", key)

    def sdk_key(self, call: Call) -> SdkKey:
        """The SDK key in the path, by its id."""
        place = (call.parameters["key"], self.environment(call).key)
        return _found(self.state.keys.get(place), "SDK key", place[0])

    def reply(self, content: object, entity: Entity | None = None) -> Reply:
        """An answer that says as of which seq it is, and the revision of its entity."""
        headers: tuple[Header, ...] = ((SEQ_HEADER, b"%d" % self.seq),)
        if entity is not None:
            headers = (etag(self.state.revision(entity)), *headers)
        return ok(content, *headers)


def _found(row: Row | None, what: str, key: str) -> Row:
    if row is None:
        raise NotFound(what, key)
    return row


async def seen(call: Call) -> Seen:
    """The state that a read is about: the newest, at least ``minSeq``, or the one ``at`` names.

    Raises what ``Writers`` raises where there is, or was, no such project.
    """
    return await seen_of(call, project_key(call))


async def seen_of(call: Call, key: str) -> Seen:
    """The same for a project that the path does not name."""
    query = call.query_as(MinSeqQuery)
    writers = call.dependencies.writers
    current = await writers.state(key, query.min_seq)
    if isinstance(query, ReadQuery) and query.at is not None:
        at = moment(query.at)
        current = await writers.state_at(key, at)
        _refuse_future(at, current.seq)
    return Seen(visible(call, key, current.state, current.seq), current.seq, current.last_at)


async def read_whole(state: ProjectState) -> None:
    """Read all of a past state, where all of it is asked for, and give the loop its turns.

    Nothing of it changes meanwhile but how much was read. Raises ``LogPoisoned``.
    """
    pages = pages_of(state)
    if pages is None or not pages.rest:
        return
    began_s = time.perf_counter()
    for name in pages.left():
        pages.read(name)
        if time.perf_counter() - began_s > SLICE_S:
            await asyncio.sleep(0)
            began_s = time.perf_counter()


def instant_of(call: Call, now: Seen) -> datetime:
    """When the state that was read is, or was, the present one."""
    query = call.query
    if not isinstance(query, ReadQuery) or query.at is None:
        return datetime.now(UTC)
    at = moment(query.at)
    return at if isinstance(at, datetime) else now.last_at


async def present(call: Call) -> Seen:
    """The newest state of the path's project, for a write that is worked out from it."""
    key = project_key(call)
    current = await call.dependencies.writers.state(key)
    return Seen(visible(call, key, current.state, current.seq), current.seq, current.last_at)


Flags: TypeAlias = FlagIndex | PastFlags
"""The flags of a state, to be found among many."""


async def indexed(call: Call) -> tuple[Seen, Flags]:
    """The state that a read of the path's project is about, and its flags to be found.

    What comes between this and an ``await`` is of one seq. Raises what :func:`seen` raises.
    """
    query = call.query
    if not isinstance(query, ReadQuery) or query.at is None:
        return await _indexed(call, seen if isinstance(query, MinSeqQuery) else present)
    now = await seen(call)
    if not (isinstance(query, SortedListQuery) and sort_by(query.sort) == "key"):
        await read_whole(now.state)
    return now, PastFlags(now.state)


async def _indexed(call: Call, read: Callable[[Call], Awaitable[Seen]]) -> tuple[Seen, Flags]:
    now = await read(call)
    if not _is_whole(call, now):
        return now, PastFlags(now.state)
    index = call.dependencies.flag_indexes.of(project_key(call))
    if not index.covers(now.state):
        await index.begin(now.state, now.seq)
        now = await read(call)
        if not _is_whole(call, now):
            return now, PastFlags(now.state)
    index.follow(now.state, now.seq)
    return now, index


def _is_whole(call: Call, now: Seen) -> bool:
    """Whether the caller may see all of the state: only that has an index."""
    whole = call.dependencies.writers.at_hand(project_key(call))
    return whole is None or whole.state is now.state


def _refuse_future(at: int | datetime, seq: int) -> None:
    if isinstance(at, int) and at > seq:
        raise Malformed(Problem("?at", f"the log ends at seq {seq}"))


def contains(needle: str, *texts: str) -> bool:
    """Whether any of the texts contains the search's words, in any case of letters."""
    folded = needle.casefold()
    return any(folded in text.casefold() for text in texts)
