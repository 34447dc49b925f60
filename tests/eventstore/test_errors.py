"""The store's errors: what asyncpg and the network raise, translated once."""

from __future__ import annotations

from contextlib import asynccontextmanager

import asyncpg
import pytest

from eventstore.errors import (
    HistoryIsImmutable,
    SchemaOutdated,
    StoreBusy,
    StoreConflict,
    StoreError,
    StoreRefused,
    StoreUnavailable,
    translate,
    translating,
    translating_block,
)
from eventstore.store import EventStore
from tests.support.logs import append, new_command, new_event


async def _raised(connection: asyncpg.Connection, sqlstate: str) -> StoreError:
    with pytest.raises(StoreError) as caught, translating:
        await connection.execute(
            f"DO $$ BEGIN RAISE 'the detail' USING ERRCODE = '{sqlstate}'; END $$"
        )
    assert "the detail" in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("sqlstate", "expected"),
    [
        ("08006", StoreUnavailable),
        ("57P01", StoreUnavailable),
        ("57P02", StoreUnavailable),
        ("57P03", StoreUnavailable),
        ("53300", StoreUnavailable),
        ("25006", StoreUnavailable),
        ("40001", StoreBusy),
        ("40P01", StoreBusy),
        ("55P03", StoreBusy),
        ("57014", StoreBusy),
        ("23505", StoreConflict),
        ("23514", StoreConflict),
        ("42P01", SchemaOutdated),
        ("42883", SchemaOutdated),
        ("HE001", HistoryIsImmutable),
        ("22021", StoreRefused),
        ("53100", StoreRefused),
    ],
)
async def test_an_answer_is_translated_by_its_sqlstate(
    connection: asyncpg.Connection, sqlstate: str, expected: type[StoreError]
) -> None:
    assert type(await _raised(connection, sqlstate)) is expected


@pytest.mark.parametrize(
    ("sqlstate", "unknown"),
    [("08006", True), ("57P01", True), ("57P03", False), ("53300", False), ("25006", False)],
)
async def test_an_outcome_is_unknown_only_where_the_statement_may_have_run(
    connection: asyncpg.Connection, sqlstate: str, unknown: bool
) -> None:
    error = await _raised(connection, sqlstate)
    assert isinstance(error, StoreUnavailable)
    assert error.outcome_unknown is unknown


@pytest.mark.parametrize(
    "lost",
    [
        ConnectionResetError("reset"),
        TimeoutError(),
        asyncpg.ConnectionDoesNotExistError("closed in the middle of operation"),
        asyncpg.InterfaceError("connection is closed"),
    ],
)
def test_a_lost_connection_is_an_unknown_outcome(lost: Exception) -> None:
    error = translate(lost)
    assert isinstance(error, StoreUnavailable)
    assert error.outcome_unknown
    assert error.detail


def test_what_is_not_of_the_database_is_left_alone() -> None:
    assert translate(ValueError()) is None
    with pytest.raises(ValueError, match="mine"), translating:
        raise ValueError("mine")


async def test_a_block_translates_its_ends_but_not_its_body() -> None:
    @asynccontextmanager
    async def block(fails_at: str):  # type: ignore[no-untyped-def]
        if fails_at == "begin":
            raise OSError
        yield fails_at
        if fails_at == "end":
            raise OSError

    for fails_at in ("begin", "end"):
        with pytest.raises(StoreUnavailable):
            async with translating_block(block(fails_at)):
                pass
    with pytest.raises(OSError, match="mine"):
        async with translating_block(block("")):
            raise OSError("mine")


async def test_text_that_the_database_cannot_hold_is_refused(store: EventStore) -> None:
    for bad in ("a\0b", "\ud800"):
        with pytest.raises(StoreRefused):
            await append(store, "demo", new_command(new_event(bad)))
    with pytest.raises(StoreRefused):
        await append(store, "demo", new_command(new_event(revision=2**70)))
    assert (await store.head("demo")).last_seq == 0
