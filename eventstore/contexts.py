"""A bounded sample of what the contexts of an environment look like, for suggestions.

It holds personal data where contexts do: it can be erased, and grows old with the counts.
"""

from __future__ import annotations

from datetime import date
from typing import Final

import asyncpg
import msgspec

from eventstore.errors import translating
from eventstore.statements import statement

MAX_ATTRIBUTES: Final = 500
"""Of all kinds in one environment."""

MAX_VALUES: Final = 50
"""Of one attribute."""


class KnownAttribute(msgspec.Struct, frozen=True):
    """In how many sampled contexts of a kind an attribute was of one type."""

    kind: str
    attribute: str
    type: str
    seen: int
    last_on: date


class KnownValue(msgspec.Struct, frozen=True):
    """In how many of them it had one value, as text."""

    kind: str
    attribute: str
    type: str
    value: str
    seen: int
    last_on: date


class ContextSamples:
    """The samples of all environments. Raises :class:`~eventstore.errors.StoreError`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def environments(self) -> list[str]:
        """The ids of those that there is a sample of."""
        with translating:
            rows = await self._pool.fetch(statement("sampled_environments"))
        return [row[0] for row in rows]

    async def attributes(self, environment_id: str) -> list[KnownAttribute]:
        """By kind and name."""
        with translating:
            rows = await self._pool.fetch(statement("context_attributes"), environment_id)
        return [KnownAttribute(*row) for row in rows]

    async def values(self, environment_id: str) -> list[KnownValue]:
        """By kind and attribute, the most frequent first."""
        with translating:
            rows = await self._pool.fetch(statement("context_values"), environment_id)
        return [KnownValue(*row) for row in rows]

    async def prune(self, environment_id: str) -> None:
        """Keep a bounded number: the newest, and of one day the most frequent."""
        with translating:
            await self._pool.execute(statement("prune_attributes"), environment_id, MAX_ATTRIBUTES)
            await self._pool.execute(statement("prune_values"), environment_id, MAX_VALUES)

    async def erase(self, environment_id: str) -> None:
        """Forget the sample of one environment."""
        with translating:
            await self._pool.execute(statement("erase_contexts"), environment_id)
