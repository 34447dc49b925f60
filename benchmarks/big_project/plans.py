"""How PostgreSQL finds the events: the plan of each statement, run, with what it read."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import asyncpg
from msgspec.structs import replace

from benchmarks.big_project import changes
from benchmarks.database_stage import PROJECT
from domain.facts import Entity
from domain.state import FOLD_VERSION
from eventstore.searching import (
    Search,
    is_walked,
    reach_statement,
    search_statement,
    slice_statement,
    unit_statement,
)
from eventstore.statements import statement
from server.http.histories import WALKED
from server.writing.deciders import PROJECT as DECIDER

SHOWN = 120
"""Characters of a plan's line; conditions may be longer."""


def searches(flags: int, events: int) -> dict[str, Search]:
    """Pages of a history, by each filter, as the server asks for them."""
    flag = changes.flag_key(random.Random(1).randrange(flags))
    page = Search(newest_first=True, limit=101)
    rare = replace(page, actor_id=changes.RARE_PERSON)
    return {
        "any page": replace(page, before=events // 2),
        "of a flag": replace(page, entity_kind="flag", entity_key=flag),
        "by a busy actor": replace(page, actor_id=changes.PEOPLE[0], before=events // 2),
        "by a rare actor": rare,
        "by a type": replace(page, type="TargetsChanged", before=events // 2),
        "by several types": replace(page, types=("FlagEnabled", "PrerequisitesChanged")),
        "by actor and type": replace(rare, type="FlagDescribed"),
        "by environment": replace(page, environment="staging", before=events // 2),
        "by a text": replace(page, text=changes.RARE_WORDS),
        "by a text and a rare actor": replace(rare, text=changes.RARE_WORDS),
    }


async def explain(connection: asyncpg.Connection, flags: int, events: int) -> None:
    """Print the plan of each statement of histories, and of a look at the past."""
    for name, (text, arguments) in await _statements(connection, flags, events):
        print(f"\n-- {name}", flush=True)
        plan = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS) {text}", *arguments)
        for (line,) in plan:
            print(f"   {line[:SHOWN]}", flush=True)
        if any("Seq Scan on event" in line for (line,) in plan):
            raise RuntimeError(f"history {name}: the whole log was read")


async def _statements(
    connection: asyncpg.Connection, flags: int, events: int
) -> list[tuple[str, tuple[str, list[Any]]]]:
    newest = await connection.fetchval(
        "SELECT max(recorded_at) FROM event WHERE log_id = $1", PROJECT
    )
    days = replace(Search(newest_first=True), since=newest - timedelta(seconds=10), until=newest)
    found = list(_of_searches({**searches(flags, events), "of ten seconds": days}))
    seq, key = events // 2, changes.flag_key(7)
    fold = [PROJECT, DECIDER.fold, FOLD_VERSION]
    found += [
        ("newest event of an entity", unit_statement(PROJECT, Entity("flag", key), 1)),
        ("the seq at a time", (statement("seq_at"), [PROJECT, newest])),
        ("events since a snapshot", (statement("read_upto"), [PROJECT, seq - 900, seq, 1_000])),
        ("the snapshot before a seq", (statement("load_snapshot"), [*fold, seq])),
    ]
    return found


def _of_searches(wanted: dict[str, Search]) -> Iterator[tuple[str, tuple[str, list[Any]]]]:
    """A filter that leaves events out on the way is looked for in slices: two statements."""
    for name, search in wanted.items():
        if is_walked(search):
            yield f"history {name}, a slice", slice_statement(PROJECT, search, WALKED)
            yield f"history {name}, its end", reach_statement(PROJECT, search, WALKED)
        else:
            yield f"history {name}", search_statement(PROJECT, search)
