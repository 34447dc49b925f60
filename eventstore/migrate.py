"""The schema, forward only.

Migrations are the files ``migrations/NNNN_*.sql`` in order of their names. Each is applied once,
in a transaction of its own together with the record of its name and SHA-256. Two programs that
migrate at once take turns. A database whose record is not a beginning of this program's list is
refused: its schema is either newer than this program, or not what the files say.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from hashlib import sha256
from importlib.resources import files

import asyncpg
import msgspec

from eventstore.errors import SchemaOutdated, StoreError, translating

_TURN = 0x48414C59415244
"""The advisory lock that makes migrating programs take turns."""
_RECORD = """
CREATE TABLE IF NOT EXISTS schema_migration (
    name text COLLATE "C" PRIMARY KEY,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""


class UnknownMigration(StoreError):
    """The database has a migration that this version does not know."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the database has the migration {name}, which this version does not know: "
            "it was migrated by a newer one; run that version, or restore an older backup"
        )
        self.name = name


class ChangedMigration(StoreError):
    """A migration was applied with another text than this version's."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the migration {name} was applied with another text than the one this version has; "
            "an applied migration must never be edited: add a new one"
        )
        self.name = name


class MisplacedMigration(StoreError):
    """A migration that was not applied comes before one that was."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the migration {name} was not applied, but a later one was; "
            "a new migration must come after all that exist: give it the next number"
        )
        self.name = name


class Migration(msgspec.Struct, frozen=True):
    """A step of the schema, as this program knows it."""

    name: str
    text: str

    @property
    def sha256(self) -> str:
        """Of the text, in hexadecimal."""
        return sha256(self.text.encode()).hexdigest()


class MigrationStatus(msgspec.Struct, frozen=True):
    """A migration, and when it was applied; None while it is pending."""

    name: str
    applied_at: datetime | None


def known_migrations() -> tuple[Migration, ...]:
    """The migrations of this program, oldest first."""
    folder = files("eventstore").joinpath("migrations")
    found = [file for file in folder.iterdir() if file.name.endswith(".sql")]
    return tuple(
        Migration(file.name.removesuffix(".sql"), file.read_text(encoding="utf-8"))
        for file in sorted(found, key=lambda file: file.name)
    )


async def migrate(
    connection: asyncpg.Connection, migrations: tuple[Migration, ...] | None = None
) -> tuple[str, ...]:
    """Apply what is pending; returns the names of what was applied.

    Interrupted at any point, it can be run again. Raises :class:`UnknownMigration`,
    :class:`ChangedMigration` or :class:`MisplacedMigration`, having changed nothing.
    """
    known = known_migrations() if migrations is None else migrations
    with translating:
        async with _turn(connection):
            await connection.execute(_RECORD)
            pending = _pending(known, await _applied(connection))
            for migration in pending:
                await _apply(connection, migration)
    return tuple(migration.name for migration in pending)


async def status(
    connection: asyncpg.Connection, migrations: tuple[Migration, ...] | None = None
) -> tuple[MigrationStatus, ...]:
    """Every migration, applied or pending. Raises as :func:`migrate` does; changes nothing."""
    known = known_migrations() if migrations is None else migrations
    with translating:
        exists = await connection.fetchval("SELECT to_regclass('schema_migration') IS NOT NULL")
        applied = await _applied(connection) if exists else []
    _pending(known, applied)
    at = {row["name"]: row["applied_at"] for row in applied}
    return tuple(MigrationStatus(migration.name, at.get(migration.name)) for migration in known)


async def require_current(connection: asyncpg.Connection) -> None:
    """Raise :class:`~eventstore.errors.SchemaOutdated` where a migration is pending."""
    pending = [each.name for each in await status(connection) if each.applied_at is None]
    if pending:
        raise SchemaOutdated(f"the database lacks {', '.join(pending)}")


@asynccontextmanager
async def _turn(connection: asyncpg.Connection) -> AsyncIterator[None]:
    await connection.execute("SELECT pg_advisory_lock($1)", _TURN, timeout=None)
    try:
        yield
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", _TURN)


async def _applied(connection: asyncpg.Connection) -> list[asyncpg.Record]:
    rows: list[asyncpg.Record] = await connection.fetch(
        "SELECT name, sha256, applied_at FROM schema_migration ORDER BY name"
    )
    return rows


def _pending(known: tuple[Migration, ...], applied: list[asyncpg.Record]) -> tuple[Migration, ...]:
    by_name = {migration.name: migration for migration in known}
    for row in applied:
        migration = by_name.get(row["name"])
        if migration is None:
            raise UnknownMigration(row["name"])
        if migration.sha256 != row["sha256"]:
            raise ChangedMigration(migration.name)
    names = {row["name"] for row in applied}
    pending = tuple(migration for migration in known if migration.name not in names)
    if pending and pending[0].name < max(names, default=""):
        raise MisplacedMigration(pending[0].name)
    return pending


async def _apply(connection: asyncpg.Connection, migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute(migration.text)
        await connection.execute(
            "INSERT INTO schema_migration (name, sha256) VALUES ($1, $2)",
            migration.name,
            migration.sha256,
        )
