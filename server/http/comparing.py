"""Which flags are set differently in two environments, and in what."""

from __future__ import annotations

import asyncio
import time
from typing import TypeAlias

import msgspec
from halyard_protocol.problems import Problem

from domain.difference import Change, row_changes
from domain.facts import Entity
from domain.state import FlagDefinition, FlagSettings
from server.http.call import Call
from server.http.faults import Malformed, NotFound
from server.http.paging import DEFAULT_LIMIT, Page, page_in_order, read_place
from server.http.queries import Limit, ReadQuery
from server.http.reads import Seen, seen
from server.http.replies import Reply
from server.http.routes import PROJECT, Route, reading
from server.searching.flag_index import SLICE_S
from server.searching.orders import Place

_Pair: TypeAlias = tuple[FlagDefinition, FlagSettings, FlagSettings]

_ORDER = "flag"


class CompareQuery(ReadQuery, frozen=True):
    """Which two environments to compare."""

    from_: str | None = msgspec.field(name="from", default=None)
    """How a flag is set here is ``before``."""
    to: str | None = None
    """How it is set here, ``after``."""
    flag: str | None = None
    """Only this one."""
    limit: Limit = DEFAULT_LIMIT
    cursor: str | None = None
    """``nextCursor`` of the page before."""


class FlagComparison(msgspec.Struct, frozen=True):
    """What differs of one flag."""

    flag: str
    name: str
    archived: bool
    changes: tuple[Change, ...]
    """From the one environment to the other."""


async def compare_environments(call: Call) -> Reply:
    """The flags that differ, by key."""
    query = call.query_as(CompareQuery)
    after = read_place(query.cursor, _ORDER)
    now = await seen(call)
    one, other = _environments(now, query)
    # Rows never change: those of one moment are taken, and compared while others have their turn.
    settings = now.state.settings
    pairs = [
        (now.state.flags[key], settings[key, one], settings[key, other])
        for key in _flags(now, query)
        if after is None or key > after.key
    ]
    found = await _differing(pairs, other, query.limit + 1)
    rows = ((Place("", each.flag), each) for each in found)
    return now.reply(page_in_order(rows, query.limit, _ORDER, lambda row: row))


async def _differing(pairs: list[_Pair], to: str, limit: int) -> list[FlagComparison]:
    found: list[FlagComparison] = []
    began_s = time.perf_counter()
    for flag, one, other in pairs:
        if one is not other and one != other:
            changes = row_changes(Entity("flag", flag.key, to), one, other)
            found.append(FlagComparison(flag.key, flag.name, flag.archived, changes))
        if len(found) == limit:
            break
        if time.perf_counter() - began_s > SLICE_S:
            await asyncio.sleep(0)
            began_s = time.perf_counter()
    return found


def _environments(now: Seen, query: CompareQuery) -> tuple[str, str]:
    if query.from_ is None or query.to is None:
        named = {"?from": query.from_, "?to": query.to}
        raise Malformed(
            *(Problem(name, "names an environment") for name, key in named.items() if key is None)
        )
    if query.from_ == query.to:
        raise Malformed(Problem("?to", "is another environment than 'from'"))
    return now.environment_called(query.from_).key, now.environment_called(query.to).key


def _flags(now: Seen, query: CompareQuery) -> list[str]:
    if query.flag is None:
        return sorted(now.state.flags)
    if query.flag not in now.state.flags:
        raise NotFound("flag", query.flag)
    return [query.flag]


ROUTES: tuple[Route, ...] = (
    reading(
        f"{PROJECT}/compare",
        compare_environments,
        "Compare how flags are set in two environments",
        permission="flag:read",
        tag="flags in an environment",
        query=CompareQuery,
        response=Page[FlagComparison],
    ),
)
