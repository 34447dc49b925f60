"""The keys that sign access tokens, and secrets that let somebody choose a password, once."""

from __future__ import annotations

from datetime import datetime, timedelta

import asyncpg
import msgspec

from eventstore.errors import translating
from eventstore.statements import statement


class SigningKey(msgspec.Struct, frozen=True):
    """A key that all processes share; it verifies for longer than it signs."""

    key_id: str
    secret: bytes
    signs_until: datetime
    verifies_until: datetime


class LoginSecrets:
    """Secrets around logins. Raises :class:`~eventstore.errors.StoreError`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def signing_keys(self) -> tuple[SigningKey, ...]:
        """Those that still verify; the one that signs for the longest is the last."""
        with translating:
            rows = await self._pool.fetch(statement("signing_keys"))
        return tuple(SigningKey(*row) for row in rows)

    async def add_signing_key(
        self, key_id: str, secret: bytes, signs_for: timedelta, overlap: timedelta
    ) -> None:
        """Add a key, unless there is one that signs."""
        with translating:
            await self._pool.execute(
                statement("add_signing_key"), key_id, secret, signs_for, overlap
            )

    async def give_one_time(self, sha256: str, account_id: str, valid: timedelta) -> datetime:
        """Let a secret open an account once, in place of any older one; answers until when."""
        with translating:
            until: datetime = await self._pool.fetchval(
                statement("set_one_time_secret"), sha256, account_id, valid
            )
        return until

    async def one_time_account(self, sha256: str) -> str | None:
        """The id of the account that a secret would open."""
        with translating:
            found: str | None = await self._pool.fetchval(statement("one_time_secret"), sha256)
        return found

    async def take_one_time(self, sha256: str) -> str | None:
        """The same, and the secret opens nothing any more: of several who ask, one is answered."""
        with translating:
            taken: str | None = await self._pool.fetchval(statement("take_one_time_secret"), sha256)
        return taken

    async def withdraw_one_time(self, account_id: str) -> None:
        """Whatever secret there is of an account opens nothing any more."""
        with translating:
            await self._pool.execute(statement("withdraw_one_time_secret"), account_id)

    async def forget(self) -> None:
        """Remove what has expired."""
        with translating:
            await self._pool.execute(statement("forget_one_time_secrets"))
            await self._pool.execute(statement("forget_signing_keys"))
