"""What accounts asked for and were refused, beside the log: written, read, forgotten.

It is bounded by age and by number, of each account too, so that whoever asks for a lot does not
push out what others were refused. Addresses and credentials go away with the account.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import asyncpg
import msgspec

from eventstore.errors import translating
from eventstore.statements import statement

MAX_KEPT: Final = 10_000
MAX_OF_ACCOUNT: Final = 1_000


class RefusedAction(msgspec.Struct, frozen=True):
    """Who lacked what, where."""

    actor_id: str
    credential_kind: str | None
    """Such as ``token``; None where the account was erased."""
    credential_id: str | None
    permission: str
    project: str | None
    """As it was asked for: there may be none of that key."""
    environment: str | None
    method: str
    route: str
    """The template of the path."""
    address: str | None
    """None where there was none, or it was forgotten."""


class Refused(msgspec.Struct, frozen=True):
    """An action, how often it was refused within a moment, and when last."""

    action: RefusedAction
    times: int
    refused_at: datetime
    id: int = 0
    """Given by the database, in the order of writing."""


class Refusals:
    """All of them. Raises :class:`~eventstore.errors.StoreError`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def add(self, refused: Sequence[Refused]) -> None:
        """Write some, all or none."""
        rows = [(*msgspec.structs.astuple(r.action), r.times, r.refused_at) for r in refused]
        columns = [list(column) for column in zip(*rows, strict=True)]
        if columns:
            with translating:
                await self._pool.execute(statement("add_refusals"), *columns)

    async def page(
        self,
        limit: int,
        *,
        before: int | None = None,
        actor_id: str | None = None,
        permission: str | None = None,
        project: str | None = None,
    ) -> list[Refused]:
        """The newest, from before an id."""
        with translating:
            rows = await self._pool.fetch(
                statement("refusals"), actor_id, permission, project, before, limit
            )
        return [Refused(RefusedAction(*row[1:10]), row[10], row[11], row[0]) for row in rows]

    async def erase(self, account_id: str) -> None:
        """Forget from where and by what an account asked."""
        with translating:
            await self._pool.execute(statement("erase_refusal_addresses"), account_id)

    async def tidy(self, kept_since: datetime, addresses_since: datetime) -> None:
        """Remove what is too old or too much, and addresses that are too old or of the erased."""
        with translating:
            await self._pool.execute(
                statement("trim_refusals"), kept_since, MAX_KEPT, MAX_OF_ACCOUNT
            )
        with translating:
            await self._pool.execute(statement("forget_refusal_addresses"), addresses_since)
