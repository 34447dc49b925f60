"""What every read of a project begins with: the state that it is about."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from halyard_protocol.problems import Problem

from domain.facts import Entity
from domain.state import (
    Environment,
    FlagDefinition,
    FlagSettings,
    ProjectState,
    SdkKey,
    SegmentDefinition,
)
from server.http.call import Call
from server.http.concurrency import etag, moment
from server.http.faults import Malformed, NotFound
from server.http.project_keys import project_key
from server.http.queries import MinSeqQuery, ReadQuery
from server.http.replies import Header, Reply, ok

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
    return Seen(current.state, current.seq, current.last_at)


def _refuse_future(at: int | datetime, seq: int) -> None:
    if isinstance(at, int) and at > seq:
        raise Malformed(Problem("?at", f"the log ends at seq {seq}"))


def contains(needle: str, *texts: str) -> bool:
    """Whether any of the texts contains the search's words, in any case of letters."""
    folded = needle.casefold()
    return any(folded in text.casefold() for text in texts)
