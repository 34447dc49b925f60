"""When tokens were last used: beside the log, for people to look at."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

import asyncpg

from eventstore.errors import translating
from eventstore.statements import statement


class TokenUses:
    """The last use of each token. Raises :class:`~eventstore.errors.StoreError`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def note(self, uses: Mapping[str, datetime]) -> None:
        """Keep when tokens were used, by their ids; what is older than what is kept is not."""
        if not uses:
            return
        # Sorted, so that no two processes wait for each other's rows.
        ids, instants = zip(*sorted(uses.items()), strict=True)
        with translating:
            await self._pool.execute(statement("note_token_uses"), ids, instants)

    async def of(self, token_ids: Collection[str]) -> dict[str, datetime]:
        """The last use by the token's id; those that were never used are left out."""
        with translating:
            rows = await self._pool.fetch(statement("token_uses_of"), list(token_ids))
        return {row[0]: row[1] for row in rows}
