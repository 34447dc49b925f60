"""What can go wrong with the store; asyncpg's errors are translated here and nowhere else.

StoreError
 ├── StoreUnavailable      no connection, or it was lost: whether a write happened is unknown
 ├── StoreBusy             rolled back by the database for its own reasons; may be tried again
 ├── StoreConflict         a constraint was violated; ``constraint`` names it
 ├── HistoryIsImmutable    somebody tried to change or remove an event
 ├── SchemaOutdated        the database lacks what this version needs
 └── StoreRefused          the database did not accept the statement or its data
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import TypeVar

import asyncpg

T = TypeVar("T")


class StoreError(Exception):
    """Root of what the store raises."""


class StoreUnavailable(StoreError):
    """PostgreSQL cannot be reached, or went away while it was asked.

    After a write ``outcome_unknown`` says whether it may have taken effect all the same: send the
    same command again, under the same key, and the record of commands settles it.
    """

    def __init__(self, detail: str, *, outcome_unknown: bool) -> None:
        super().__init__(f"the database is not available: {detail}")
        self.detail = detail
        self.outcome_unknown = outcome_unknown


class StoreBusy(StoreError):
    """A deadlock, a timeout of a lock or of a statement. Nothing was written; try again."""


class StoreConflict(StoreError):
    """A constraint stood against it. Nothing was written."""

    def __init__(self, constraint: str, detail: str) -> None:
        super().__init__(detail)
        self.constraint = constraint


class HistoryIsImmutable(StoreError):
    """The database refused to change or remove an event."""


class SchemaOutdated(StoreError):
    """The schema is missing, or older than this version needs."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"{detail}; run: halyard db migrate")
        self.detail = detail


class StoreRefused(StoreError):
    """The database did not accept a statement, or what was in it. Nothing was written."""


_NOT_BEGUN = frozenset({"25006", "53300", "57P03", "28000", "28P01", "3D000"})
"""Unavailable, and certainly nothing written: read-only, too many clients, starting, no entry."""
_BUSY = frozenset({"40001", "40P01", "55P03", "57014"})
_OUTDATED = frozenset({"42P01", "42883", "42703", "3F000"})
_IMMUTABLE = "HE001"
_CONFLICT_CLASS = "23"
_LOST = ("08", "57P")
"""Connection trouble, and servers that shut down or crash."""


def translate(error: BaseException) -> StoreError | None:
    """The store's error for one of asyncpg's or of the network's, or None where it is neither."""
    if isinstance(error, asyncpg.PostgresError):
        return _translate_answer(error)
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return StoreUnavailable(str(error), outcome_unknown=False)
    if isinstance(error, OSError):
        return StoreUnavailable(str(error) or type(error).__name__, outcome_unknown=True)
    if isinstance(error, asyncpg.DataError | asyncpg.UnsupportedClientFeatureError):
        return StoreRefused(str(error))
    if isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError):
        return StoreUnavailable(str(error), outcome_unknown=True)
    return None


def _translate_answer(error: asyncpg.PostgresError) -> StoreError:
    state, text = error.sqlstate or "", str(error)
    if state in _NOT_BEGUN:
        return StoreUnavailable(text, outcome_unknown=False)
    if state.startswith(_LOST):
        return StoreUnavailable(text, outcome_unknown=True)
    if state in _BUSY:
        return StoreBusy(text)
    if state.startswith(_CONFLICT_CLASS):
        return StoreConflict(getattr(error, "constraint_name", None) or "", text)
    if state in _OUTDATED:
        return SchemaOutdated(text)
    return HistoryIsImmutable(text) if state == _IMMUTABLE else StoreRefused(text)


class _Translating:
    """Reusable and free of state, because it is entered on every statement."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            return
        translated = translate(error)
        if translated is not None:
            raise translated from error


translating = _Translating()
"""``with translating:`` around whatever awaits the database."""


@asynccontextmanager
async def translating_block(block: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """``block`` with the errors of its beginning and its end translated, but not its body's."""
    with translating:
        entered = await block.__aenter__()
    try:
        yield entered
    except BaseException as error:
        await _leave(block, error)
        raise
    with translating:
        await block.__aexit__(None, None, None)


async def _leave(block: AbstractAsyncContextManager[object], error: BaseException) -> None:
    with translating:
        await block.__aexit__(type(error), error, error.__traceback__)
