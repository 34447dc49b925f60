"""Who comes from identity providers, and which roles that gave: personal, so in no event."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import asyncpg
import msgspec

from eventstore.errors import translating
from eventstore.statements import statement


class Identity(msgspec.Struct, frozen=True):
    """A way to log into an account. The provider's subject is told to nobody."""

    identity_id: str
    issuer: str
    provider: str
    linked_at: datetime


class Identities:
    """Pairs of an issuer and a subject. Raises :class:`~eventstore.errors.StoreError`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def account_of(self, issuer: str, subject: str) -> str | None:
        """The account that an identity is linked to."""
        with translating:
            found: str | None = await self._pool.fetchval(
                statement("account_of_identity"), issuer, subject
            )
        return found

    async def link(
        self, identity_id: str, issuer: str, subject: str, account_id: str, provider: str
    ) -> str | None:
        """Link it, unless it is linked already: to which account it is then."""
        with translating:
            await self._pool.execute(
                statement("link_identity"), identity_id, issuer, subject, account_id, provider
            )
        return await self.account_of(issuer, subject)

    async def of(self, account_id: str) -> tuple[Identity, ...]:
        """Those of an account, the oldest first."""
        with translating:
            rows = await self._pool.fetch(statement("identities_of"), account_id)
        return tuple(Identity(*row) for row in rows)

    async def unlink(self, identity_id: str, account_id: str) -> bool:
        """Take one away from an account; false where it has no such."""
        with translating:
            found = await self._pool.fetchval(statement("unlink_identity"), identity_id, account_id)
        return found is not None

    async def roles(self, account_id: str, provider: str) -> frozenset[tuple[str, str]]:
        """Projects and roles that the provider's groups have given."""
        with translating:
            rows = await self._pool.fetch(statement("provider_roles"), account_id, provider)
        return frozenset((row[0], row[1]) for row in rows)

    async def note_roles(
        self, account_id: str, provider: str, roles: Iterable[tuple[str, str]]
    ) -> None:
        """Remember further ones."""
        await self._with_roles("note_provider_roles", account_id, provider, roles)

    async def keep_roles(
        self, account_id: str, provider: str, roles: Iterable[tuple[str, str]]
    ) -> None:
        """Forget all but these."""
        await self._with_roles("keep_provider_roles", account_id, provider, roles)

    async def _with_roles(
        self, name: str, account_id: str, provider: str, roles: Iterable[tuple[str, str]]
    ) -> None:
        pairs = tuple(roles)
        projects, named = [project for project, _ in pairs], [role for _, role in pairs]
        with translating:
            await self._pool.execute(statement(name), account_id, provider, projects, named)

    async def erase(self, account_id: str) -> None:
        """Forget all of an account."""
        with translating:
            await self._pool.execute(statement("erase_identities"), account_id)
