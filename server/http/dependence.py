"""What a flag rests on, and what rests on it, all the way, in each environment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, TypeAlias

import msgspec

from domain.chains import Reached, reached
from domain.facts import Entity
from domain.references import segments_in, segments_of_rules
from domain.state import ProjectState
from server.http.call import Call
from server.http.paging import Page, sorted_page
from server.http.queries import PlaceQuery
from server.http.reads import Seen, seen
from server.http.replies import Reply
from server.http.routes import FLAG, Handler, Route, reading
from server.searching.orders import Place

Walk: TypeAlias = Callable[[str, str], Iterator[Reached[Entity]]]
"""From a flag in an environment to what it reaches, nearest first."""
Ways: TypeAlias = Callable[[ProjectState], Walk]

_TAG = "flags"
_ORDER = "environment, depth, kind, key"


class NamedBy(msgspec.Struct, frozen=True):
    """A flag or a segment."""

    kind: Literal["flag", "segment"]
    key: str


class Dependence(msgspec.Struct, frozen=True):
    """Something that a flag rests on, or that rests on it."""

    environment: str
    kind: Literal["flag", "segment"]
    key: str
    name: str
    archived: bool
    depth: int
    """1 where nothing stands between."""
    through: NamedBy | None
    """What stands next to it on the shortest way; null where nothing does."""


async def list_dependencies(call: Call) -> Reply:
    """The prerequisites and segments of a flag, and theirs."""
    return await _answer(call, dependencies)


async def list_dependents(call: Call) -> Reply:
    """The flags of which a flag is a prerequisite, and those of which they are."""
    return await _answer(call, dependents)


async def _answer(call: Call, ways: Ways) -> Reply:
    query = call.query_as(PlaceQuery)
    now = await seen(call)
    flag, walk = now.flag(call).key, ways(now.state)
    rows = (
        (_place(row), row)
        for environment in _environments(now, query)
        for row in _rows(now.state, environment, walk(flag, environment))
    )
    return now.reply(sorted_page(rows, query.limit, query.cursor, _ORDER, lambda row: row))


def _environments(now: Seen, query: PlaceQuery) -> Iterable[str]:
    if query.environment is None:
        return sorted(now.state.environments)
    return (now.environment_called(query.environment).key,)


def _place(row: Dependence) -> Place:
    return Place(f"{row.environment}/{row.depth:04}/{row.kind}", row.key)


def dependencies(state: ProjectState) -> Walk:
    """To the flags and segments that a flag rests on."""

    def onward(here: Entity, environment: str) -> Iterator[Entity]:
        if here.kind == "segment":
            segments = segments_of_rules(state.segments[here.key].rules)
        else:
            settings = state.settings[here.key, environment]
            yield from (Entity("flag", needed.flag) for needed in settings.prerequisites)
            segments = (key for rule in settings.rules for key in segments_in(rule.when))
        yield from (Entity("segment", key) for key in segments)

    return lambda flag, environment: reached(
        Entity("flag", flag), lambda here: onward(here, environment)
    )


def dependents(state: ProjectState) -> Walk:
    """To the flags that rest on a flag. Most have no prerequisites, and cost one look in all."""
    needing: dict[tuple[str, str], list[Entity]] = {}
    for (flag, environment), settings in state.settings.items():
        for needed in settings.prerequisites:
            needing.setdefault((needed.flag, environment), []).append(Entity("flag", flag))

    return lambda flag, environment: reached(
        Entity("flag", flag), lambda here: needing.get((here.key, environment), ())
    )


def _rows(
    state: ProjectState, environment: str, way: Iterator[Reached[Entity]]
) -> Iterator[Dependence]:
    for found in way:
        is_flag = found.key.kind == "flag"
        row = state.flags[found.key.key] if is_flag else state.segments[found.key.key]
        yield Dependence(
            environment=environment,
            kind="flag" if is_flag else "segment",
            key=row.key,
            name=row.name,
            archived=is_flag and state.flags[row.key].archived,
            depth=found.depth,
            through=_named(found.through) if found.depth > 1 else None,
        )


def _named(entity: Entity) -> NamedBy:
    return NamedBy("flag" if entity.kind == "flag" else "segment", entity.key)


def _listing(path: str, handler: Handler, summary: str) -> Route:
    return reading(
        f"{FLAG}/{path}",
        handler,
        summary,
        permission="flag:read",
        tag=_TAG,
        query=PlaceQuery,
        response=Page[Dependence],
    )


ROUTES: tuple[Route, ...] = (
    _listing(
        "dependencies", list_dependencies, "List what a flag rests on: prerequisites and segments"
    ),
    _listing("dependents", list_dependents, "List the flags that rest on a flag"),
)
