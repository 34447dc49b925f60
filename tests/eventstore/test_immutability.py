"""The database itself refuses to change history, whoever asks."""

from __future__ import annotations

import asyncpg
import pytest

from eventstore.errors import HistoryIsImmutable, translating
from eventstore.store import EventStore
from tests.support.logs import fill

CHANGES = [
    "UPDATE event SET body = 'other' WHERE seq = 2",
    "UPDATE event SET body = body WHERE false",
    "DELETE FROM event WHERE seq = 2",
    "DELETE FROM event",
    "TRUNCATE event",
    "TRUNCATE event CASCADE",
    "INSERT INTO event SELECT * FROM event ON CONFLICT (log_id, seq) DO UPDATE SET body = 'other'",
    "MERGE INTO event USING (VALUES (2)) AS v (n) ON seq = n WHEN MATCHED THEN DELETE",
]


@pytest.mark.parametrize("role", ["origin", "replica"])
@pytest.mark.parametrize("change", CHANGES)
async def test_history_cannot_be_changed(
    store: EventStore, connection: asyncpg.Connection, change: str, role: str
) -> None:
    await fill(store, "demo", 3)
    before = await store.read("demo", 0, 10)
    await connection.execute(f"SET session_replication_role = {role}")
    with pytest.raises(HistoryIsImmutable), translating:
        await connection.execute(change)
    assert await store.read("demo", 0, 10) == before
