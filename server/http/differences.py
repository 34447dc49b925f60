"""What differs between two moments: of a flag, of a segment, of a whole project."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from halyard_protocol.problems import Problem

from domain.difference import (
    Change,
    ChangeKind,
    Place,
    flag_changes,
    place_of,
    segment_changes,
    state_changes,
)
from domain.facts import Entity
from domain.state import ProjectState
from server.http.authorisation import Sight
from server.http.call import Call
from server.http.concurrency import moment
from server.http.faults import Malformed, NotFound
from server.http.paging import DEFAULT_LIMIT, read_cursor, write_cursor
from server.http.project_keys import project_key
from server.http.queries import Limit, Query
from server.http.reads import read_whole
from server.http.replies import Reply, ok
from server.http.routes import FLAG, PROJECT, SEGMENT, Route, reading
from server.reverting.pasts import Unit, pasts

FROM = msgspec.field(name="from", default=None)


class DifferenceQuery(Query, frozen=True):
    """Which two moments to compare."""

    from_: str | None = FROM
    """A seq, or an RFC 3339 time: how it was then."""
    to: str | None = None
    """The same for the other moment; the present where left out."""


class ProjectDifferenceQuery(DifferenceQuery, frozen=True):
    """Which two moments of a project to compare, page by page."""

    limit: Limit = DEFAULT_LIMIT
    """Of the entities on a page."""
    cursor: str | None = None
    """``nextCursor`` of the page before."""


class ChangeView(msgspec.Struct, frozen=True, rename="camel"):
    """One difference."""

    entity: Entity
    path: str
    """A JSON pointer that names items, not positions; empty for the whole entity."""
    kind: ChangeKind
    before: Any
    """What stood there; of a move, at which position."""
    after: Any
    position: int | None
    """Where in its list an added item stands."""
    sentence: str


class Difference(msgspec.Struct, frozen=True, rename="camel"):
    """What differs of one flag or segment between two seqs."""

    from_: int = msgspec.field(name="from")
    to: int
    changes: tuple[ChangeView, ...]


class EntityDifference(msgspec.Struct, frozen=True):
    """What differs of one entity."""

    entity: Entity
    changes: tuple[ChangeView, ...]


class ProjectDifference(msgspec.Struct, frozen=True, rename="camel"):
    """A page of what differs between two seqs, by kind and key."""

    from_: int = msgspec.field(name="from")
    to: int
    items: tuple[EntityDifference, ...]
    next_cursor: str | None


def change_views(changes: Iterable[Change]) -> tuple[ChangeView, ...]:
    """Differences as the API writes them."""
    return tuple(
        ChangeView(
            change.entity,
            change.path,
            change.kind,
            change.before,
            change.after,
            change.position,
            change.sentence,
        )
        for change in changes
    )


async def flag_difference(call: Call) -> Reply:
    """What differs of a flag, and of how it is set in each environment."""
    key = call.parameters["flag"]
    return await _difference(call, ("flag", key), flag_changes)


async def segment_difference(call: Call) -> Reply:
    """What differs of a segment."""
    key = call.parameters["segment"]
    return await _difference(call, ("segment", key), segment_changes)


async def _difference(call: Call, unit: Unit, changes_of: Any) -> Reply:
    log_id, store = project_key(call), call.dependencies.store
    was, became = await _moments(call)
    first, last = sorted((was, became))
    states = dict(
        zip((first, last), await pasts(store, log_id, (unit,), (first, last)), strict=True)
    )
    kind, key = unit
    if not any(key in _rows(state, kind) for state in states.values()):
        raise NotFound(kind, key)
    sight = Sight(call, log_id)
    changes = (
        change
        for change in changes_of(states[was], states[became], key)
        if sight.reaches(change.entity.environment)
    )
    return ok(Difference(was, became, change_views(changes)))


def _rows(state: ProjectState, kind: str) -> Any:
    return state.flags if kind == "flag" else state.segments


async def project_difference(call: Call) -> Reply:
    """A page of what differs of a project, where the caller may see what changes."""
    query = call.query_as(ProjectDifferenceQuery)
    log_id, writers = project_key(call), call.dependencies.writers
    beyond, pinned = _place_in(query.cursor)
    was, became = await _moments(call, pinned)
    before = (await writers.state_at(log_id, was)).state
    after = (await writers.state_at(log_id, became)).state
    for state in (before, after):
        await read_whole(state)
    items: list[EntityDifference] = []
    sight = Sight(call, log_id)
    for entity, changes in state_changes(before, after, beyond):
        if not sight.reaches(entity.environment):
            continue
        if len(items) == query.limit:
            more = _cursor(items[-1].entity, became)
            return ok(ProjectDifference(was, became, tuple(items), more))
        items.append(EntityDifference(entity, change_views(changes)))
    return ok(ProjectDifference(was, became, tuple(items), None))


def _cursor(last: Entity, to: int) -> str:
    return write_cursor(msgspec.json.encode((to, *place_of(last))).decode())


def _place_in(cursor: str | None) -> tuple[Place | None, int | None]:
    """Where a page begins, and the seq up to which the first page compared."""
    text = read_cursor(cursor)
    if text is None:
        return None, None
    try:
        to, *place = msgspec.json.decode(text, type=tuple[int, str, str, str])
    except msgspec.DecodeError as error:
        raise Malformed(Problem("?cursor", "is not one that was given out")) from error
    return (place[0], place[1], place[2]), to


async def _moments(call: Call, pinned: int | None = None) -> tuple[int, int]:
    """The two seqs that a query names. Raises :class:`NotFound`, :class:`Malformed`."""
    query = call.query_as(DifferenceQuery)
    if query.from_ is None:
        raise Malformed(Problem("?from", "is needed: a seq, or an RFC 3339 time"))
    log_id, store = project_key(call), call.dependencies.store
    end = (await store.head(log_id)).last_seq
    if end == 0:
        raise NotFound("project", log_id)
    was = await seq_of(call, "?from", query.from_, end)
    if query.to is None:
        return was, pinned or end
    return was, await seq_of(call, "?to", query.to, end)


async def seq_of(call: Call, name: str, text: str, end: int) -> int:
    """The seq that a seq or a time stands for. Raises :class:`Malformed` naming the field."""
    at = moment(text, name)
    seq = at if isinstance(at, int) else await call.dependencies.store.seq_at(project_key(call), at)
    if not 1 <= seq <= end:
        reason = f"the log goes from seq 1 to {end}, and that is {seq}"
        raise Malformed(Problem(name, reason))
    return seq


ROUTES: tuple[Route, ...] = (
    reading(
        f"{PROJECT}/diff",
        project_difference,
        "What differs of a project between two moments",
        permission="event:read",
        tag="history",
        query=ProjectDifferenceQuery,
        response=ProjectDifference,
    ),
    reading(
        f"{FLAG}/diff",
        flag_difference,
        "What differs of a flag between two moments",
        permission="event:read",
        tag="history",
        query=DifferenceQuery,
        response=Difference,
    ),
    reading(
        f"{SEGMENT}/diff",
        segment_difference,
        "What differs of a segment between two moments",
        permission="event:read",
        tag="history",
        query=DifferenceQuery,
        response=Difference,
    ),
)
