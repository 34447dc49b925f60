"""Searching: the right events, in order, by an index."""

from __future__ import annotations

import random
from datetime import timedelta
from itertools import combinations
from typing import Any

import asyncpg
import msgspec
import pytest

from domain.facts import Entity
from eventstore.log import StoredEvent
from eventstore.searching import (
    Search,
    reach_statement,
    search_statement,
    slice_statement,
    unit_statement,
)
from eventstore.statements import statement
from eventstore.store import EventStore
from tests.support.logs import append, new_command, new_event

TYPES = ("FlagEnabled", "FlagDisabled", "RuleAdded")


async def _varied_log(store: EventStore, events: int) -> list[StoredEvent]:
    chance = random.Random(7)
    for log_id in ("demo", "other"):
        commands = [
            new_command(
                new_event(
                    f"flag-{chance.randrange(4)}",
                    entity_kind=chance.choice(("flag", "segment")),
                    environment=chance.choice((None, "staging", "production")),
                    type=chance.choice(TYPES),
                ),
                actor_id=f"acc-{chance.randrange(3)}",
            )
            for _ in range(events)
        ]
        await append(store, log_id, *commands)
    return await store.read("demo", 0, events)


def _says(event: StoredEvent, text: str) -> bool:
    return text.lower() in event.entity_key or text.lower() in event.body.decode().lower()


def _expected(events: list[StoredEvent], search: Search) -> list[int]:
    """The definition of a search, word by word."""
    matching = [
        event.seq
        for event in events
        if search.entity_kind in (None, event.entity_kind)
        and search.entity_key in (None, event.entity_key)
        and search.environment in (None, event.environment)
        and search.actor_id in (None, event.actor_id)
        and search.type in (None, event.type)
        and (search.types is None or event.type in search.types)
        and (search.text is None or _says(event, search.text))
        and (search.after is None or event.seq > search.after)
        and (search.before is None or event.seq < search.before)
        and (search.since is None or event.recorded_at >= search.since)
        and (search.until is None or event.recorded_at < search.until)
    ]
    return (matching[::-1] if search.newest_first else matching)[: search.limit]


async def test_a_search_finds_what_its_definition_says(store: EventStore) -> None:
    events = await _varied_log(store, 150)
    chance = random.Random(11)
    choices: dict[str, tuple[Any, ...]] = {
        "entity_kind": ("flag", "segment"),
        "entity_key": ("flag-1", "flag-2"),
        "environment": ("staging",),
        "actor_id": ("acc-0", "acc-9"),
        "type": TYPES,
        "types": (TYPES[:2], ("RuleAdded", "Unheard")),
        "text": ("FLAG-1", "été", "ÉT", "nothing", "%", "_"),
        "after": (0, 40),
        "before": (120, 2),
        "since": (events[30].recorded_at, events[30].recorded_at + timedelta(days=1)),
        "until": (events[130].recorded_at, events[0].recorded_at),
        "newest_first": (True,),
        "limit": (5, 1000),
    }
    for _ in range(200):
        fields = chance.sample(sorted(choices), k=chance.randrange(6))
        search = Search(**{field: chance.choice(choices[field]) for field in fields})
        found = [event.seq for event in await store.search("demo", search)]
        assert found == _expected(events, search), search
        assert await _in_slices(store, search, chance.randrange(1, 60)) == found, search


async def _in_slices(store: EventStore, search: Search, walked: int) -> list[int]:
    """What a search finds that looks at so many events at a time."""
    found: list[int] = []
    while True:
        wanted = msgspec.structs.replace(search, limit=search.limit - len(found))
        part = await store.search_slice("demo", wanted, walked)
        found += [event.seq for event in part.events]
        if part.reached is None or len(found) == search.limit:
            return found
        edge = {"before": part.reached} if search.newest_first else {"after": part.reached}
        search = msgspec.structs.replace(search, **edge)


async def test_what_is_appended_while_a_slice_is_read_is_not_passed_over(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _varied_log(store, 10)
    rows = store._rows

    async def then_append(text: str, *arguments: Any) -> list[asyncpg.Record]:
        found = await rows(text, *arguments)
        await append(store, "demo", new_command(new_event("needle")))
        return found

    monkeypatch.setattr(store, "_rows", then_append)
    part = await store.search_slice("demo", Search(text="needle"), 11)
    assert (part.events, part.reached) == ((), None)


async def test_what_is_appended_while_slices_are_read_repeats_nothing(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(12):
        await append(store, "demo", new_command(new_event("needle")))
    rows = store._rows

    async def then_append(text: str, *arguments: Any) -> list[asyncpg.Record]:
        found = await rows(text, *arguments)
        await append(store, "demo", new_command(new_event("later")))
        return found

    monkeypatch.setattr(store, "_rows", then_append)
    found = await _in_slices(store, Search(text="needle", newest_first=True), 5)
    assert found == list(range(12, 0, -1))


@pytest.mark.parametrize("newest_first", [True, False])
async def test_pages_of_a_search_meet_without_a_gap(store: EventStore, newest_first: bool) -> None:
    events = await _varied_log(store, 60)
    search = Search(type="RuleAdded", newest_first=newest_first, limit=7)
    found: list[int] = []
    while page := await store.search("demo", search):
        found += [event.seq for event in page]
        edge = {"before": found[-1]} if newest_first else {"after": found[-1]}
        search = msgspec.structs.replace(search, **edge)
    whole = Search(type="RuleAdded", newest_first=newest_first, limit=1000)
    assert found == _expected(events, whole)


async def _plan(connection: asyncpg.Connection, text: str, arguments: list[Any]) -> str:
    return "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {text}", *arguments))


async def _fill_by_sql(connection: asyncpg.Connection) -> None:
    await connection.execute("""
        INSERT INTO event
        SELECT log_id, n, 'evt-' || n, (ARRAY['production', 'staging', NULL])[n % 3 + 1],
            'flag', 'flag-' || n % 10, n / 10 + 1, 'Type' || n % 10, 1, true, 'body',
            'acc-' || n % 10, 'cmd-' || n, NULL, NULL, true,
            timestamptz '2026-01-01 00:00:00Z' + n * interval '1 minute', sha256('')
        FROM generate_series(1, 10000) AS n, (VALUES ('demo'), ('other')) AS logs (log_id);
        ANALYZE event
    """)


async def test_what_has_a_cause_is_found_by_an_index(connection: asyncpg.Connection) -> None:
    await _fill_by_sql(connection)
    asked = [f"revert:{seq}" for seq in range(400)]
    plan = await _plan(connection, statement("carried_out").rstrip(";"), ["demo", asked])
    assert "event_by_cause" in plan
    assert "Seq Scan" not in plan


SEARCHES = {
    "event_by_entity": Search(entity_kind="flag", entity_key="flag-7", limit=5),
    "event_by_actor": Search(actor_id="acc-7", limit=5),
    "event_by_type": Search(type="Type7", limit=5),
    "event_pkey": Search(after=10, limit=5),
}


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("generic", [True, False])
async def test_every_search_of_a_big_log_is_a_range_of_an_index(
    connection: asyncpg.Connection, generic: bool, newest_first: bool
) -> None:
    await _fill_by_sql(connection)
    mode = "force_generic_plan" if generic else "force_custom_plan"
    await connection.execute(f"SET plan_cache_mode = {mode}")
    at = await connection.fetchval("SELECT max(recorded_at) FROM event")
    for index, search in SEARCHES.items():
        for since in (None, at - timedelta(days=6)):
            wanted = msgspec.structs.replace(search, newest_first=newest_first, since=since)
            plan = await _plan(connection, *search_statement("demo", wanted))
            assert index in plan
            assert ("event_by_time" in plan) == (since is not None)
            assert "Seq Scan" not in plan
            assert "Sort" not in plan


@pytest.mark.parametrize("environment", [None, "production"])
async def test_the_newest_events_of_an_entity_are_found_without_looking_at_others(
    connection: asyncpg.Connection, environment: str | None
) -> None:
    await _fill_by_sql(connection)
    entity = Entity("flag", "flag-7", environment)
    plan = await _plan(connection, *unit_statement("demo", entity, 5))
    assert "Index Scan Backward using event_by_entity" in plan
    assert "Filter" not in plan


FILTERS: dict[str, Any] = {
    "entity_kind": "flag",
    "entity_key": "flag-7",
    "environment": "production",
    "actor_id": "acc-7",
    "type": "Type7",
    "types": ("Type7", "Type8"),
    "text": "body",
}


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("generic", [True, False])
async def test_every_slice_of_every_combination_of_filters_walks_one_index_in_order(
    connection: asyncpg.Connection, generic: bool, newest_first: bool
) -> None:
    await _fill_by_sql(connection)
    mode = "force_generic_plan" if generic else "force_custom_plan"
    await connection.execute(f"SET plan_cache_mode = {mode}")
    for count in range(len(FILTERS) + 1):
        for fields in combinations(FILTERS, count):
            search = Search(
                **{field: FILTERS[field] for field in fields}, newest_first=newest_first
            )
            for write in (slice_statement, reach_statement):
                plan = await _plan(connection, *write("demo", search, 100))
                assert "Index" in plan, fields
                assert "Seq Scan" not in plan, (fields, plan)
                assert "Sort  (" not in plan, (fields, plan)
                assert "Bitmap" not in plan, (fields, plan)
