"""Migrations: forward only, once, in turn; and the dumped shape is theirs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from importlib.resources import files

import asyncpg
import msgspec
import pytest

from eventstore.errors import SchemaOutdated, StoreError
from eventstore.migrate import (
    ChangedMigration,
    Migration,
    MigrationStatus,
    UnknownMigration,
    known_migrations,
    migrate,
    require_current,
    status,
)

ONE = Migration("0001_one", "CREATE TABLE one (n integer); INSERT INTO one VALUES (1)")
TWO = Migration("0002_two", "ALTER TABLE one ADD COLUMN m integer; UPDATE one SET m = 2")
BROKEN = Migration("0002_broken", "ALTER TABLE one ADD COLUMN m integer; SELECT 1 / 0")


@pytest.fixture
async def empty(empty_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(empty_database_url)
    yield connection
    await connection.close()


async def test_migrations_are_applied_in_order_and_once(empty: asyncpg.Connection) -> None:
    assert await migrate(empty, (ONE,)) == ("0001_one",)
    assert await migrate(empty, (ONE, TWO)) == ("0002_two",)
    assert await migrate(empty, (ONE, TWO)) == ()
    assert [tuple(row) for row in await empty.fetch("SELECT * FROM one")] == [(1, 2)]


async def test_the_status_says_what_is_applied_and_what_is_pending(
    empty: asyncpg.Connection,
) -> None:
    assert await status(empty, (ONE, TWO)) == (
        MigrationStatus("0001_one", None),
        MigrationStatus("0002_two", None),
    )
    assert await empty.fetchval("SELECT to_regclass('schema_migration')") is None
    await migrate(empty, (ONE,))
    first, second = await status(empty, (ONE, TWO))
    assert first.applied_at is not None
    assert second.applied_at is None


async def test_an_edited_migration_is_refused_before_anything_changes(
    empty: asyncpg.Connection,
) -> None:
    await migrate(empty, (ONE,))
    edited = msgspec.structs.replace(ONE, text=ONE.text + ";")
    for attempt in (migrate, status):
        with pytest.raises(ChangedMigration, match="0001_one"):
            await attempt(empty, (edited, TWO))
    assert (await status(empty, (ONE, TWO)))[1].applied_at is None


async def test_a_database_of_a_newer_version_is_refused(empty: asyncpg.Connection) -> None:
    await migrate(empty, (ONE, TWO))
    for attempt in (migrate, status):
        with pytest.raises(UnknownMigration, match="0002_two"):
            await attempt(empty, (ONE,))


async def test_a_migration_that_was_slipped_in_before_an_applied_one_is_refused(
    empty: asyncpg.Connection,
) -> None:
    await migrate(empty, (ONE, TWO))
    late = Migration("0001_zzz", "SELECT 1")
    with pytest.raises(StoreError, match="0001_zzz"):
        await migrate(empty, (ONE, late, TWO))


async def test_a_migration_that_fails_leaves_no_trace(empty: asyncpg.Connection) -> None:
    with pytest.raises(StoreError):
        await migrate(empty, (ONE, BROKEN))
    assert await migrate(empty, (ONE, TWO)) == ("0002_two",)


async def test_programs_that_migrate_at_once_take_turns(empty_database_url: str) -> None:
    connections = [await asyncpg.connect(empty_database_url) for _ in range(4)]
    applied = await asyncio.gather(*(migrate(each, (ONE, TWO)) for each in connections))
    assert sorted(applied) == [(), (), (), ("0001_one", "0002_two")]
    for connection in connections:
        await connection.close()


async def test_a_schema_that_is_not_current_is_named_with_what_to_do(
    empty: asyncpg.Connection,
) -> None:
    with pytest.raises(SchemaOutdated, match="halyard db migrate"):
        await require_current(empty)
    await migrate(empty)
    await require_current(empty)


def test_the_known_migrations_are_numbered_without_a_gap() -> None:
    numbers = [int(migration.name[:4]) for migration in known_migrations()]
    assert numbers == list(range(1, len(numbers) + 1))


CATALOGS = {
    "columns": """
        SELECT table_name, column_name, ordinal_position, data_type, collation_name, is_nullable,
            column_default, is_generated
        FROM information_schema.columns WHERE table_schema = 'public'
    """,
    "relations": """
        SELECT relname, relkind, reloptions, relrowsecurity FROM pg_class
        WHERE relnamespace = 'public'::regnamespace
    """,
    "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "constraints": """
        SELECT conname, conrelid::regclass, contype, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace
    """,
    "triggers": """
        SELECT tgname, tgrelid::regclass, tgenabled, pg_get_triggerdef(oid) FROM pg_trigger
        WHERE NOT tgisinternal
    """,
    "functions": """
        SELECT oid::regprocedure, pg_get_functiondef(oid) FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace
    """,
    "types": """
        SELECT typname, typtype FROM pg_type WHERE typnamespace = 'public'::regnamespace
    """,
}


@pytest.mark.parametrize("catalog", CATALOGS)
async def test_the_dumped_schema_is_what_the_migrations_give(
    empty: asyncpg.Connection, connection: asyncpg.Connection, catalog: str
) -> None:
    await empty.execute(files("eventstore").joinpath("schema.sql").read_text())
    await empty.execute("RESET ALL")
    dumped, migrated = [
        sorted(map(repr, await each.fetch(CATALOGS[catalog]))) for each in (empty, connection)
    ]
    assert migrated
    assert dumped == migrated
