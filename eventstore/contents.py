"""The number behind the wire epoch: which documents the same log gave, in the order of discovery.

It is kept here and not in Redis, because it must never fall back while the log has not: SDKs
compare it.
"""

from __future__ import annotations

import asyncpg
import msgspec

from eventstore.errors import translating
from eventstore.statements import statement


class Content(msgspec.Struct, frozen=True):
    """A content number, and the version of the fold whose documents it stands for."""

    number: int
    fold_version: int


class Contents:
    """The contents of all environments. Raises :class:`~eventstore.errors.StoreError`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def get(self, log_id: str, environment: str) -> Content | None:
        """The content of an environment, by its id; None where none was settled yet."""
        with translating:
            row = await self._pool.fetchrow(statement("content"), log_id, environment)
        return None if row is None else Content(*row)

    async def settle(
        self, log_id: str, environment: str, content: Content, seen: Content | None
    ) -> bool:
        """Replace the content that was ``seen``. False where it is no longer that one."""
        before = (None, None) if seen is None else (seen.number, seen.fold_version)
        now = (content.number, content.fold_version)
        with translating:
            settled = await self._pool.fetchval(
                statement("settle_content"), log_id, environment, *now, *before
            )
        return settled is not None
