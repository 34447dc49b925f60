"""Personal data of operators. No event may hold any of it: events name accounts by opaque ids."""

from __future__ import annotations

from datetime import datetime

import asyncpg
import msgspec

from eventstore.errors import StoreConflict, translating
from eventstore.statements import statement


class Account(msgspec.Struct, frozen=True):
    """One operator."""

    account_id: str
    email: str
    name: str
    password_hash: str | None
    """None where the account cannot log in with a password."""
    created_at: datetime


class EmailTaken(StoreConflict):
    """Another account has this address; upper and lower case do not matter."""


class Accounts:
    """The accounts of the installation. Raises :class:`~eventstore.errors.StoreError`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def add(
        self, account_id: str, email: str, name: str, password_hash: str | None
    ) -> Account:
        """Create an account. Raises :class:`EmailTaken`, or StoreConflict for a taken id."""
        try:
            with translating:
                row = await self._pool.fetchrow(
                    statement("insert_account"), account_id, email, name, password_hash
                )
        except StoreConflict as conflict:
            if conflict.constraint == "account_by_email":
                raise EmailTaken(conflict.constraint, f"{email} has an account") from conflict
            raise
        return Account(*row)

    async def by_id(self, account_id: str) -> Account | None:
        """The account with this id."""
        return await self._find("account_by_id", account_id)

    async def by_email(self, email: str) -> Account | None:
        """The account with this address, in whatever case it is written."""
        return await self._find("account_by_email", email)

    async def set_password_hash(self, account_id: str, password_hash: str | None) -> bool:
        """Replace the hash; None takes the password away. False without such an account."""
        with translating:
            found = await self._pool.fetchval(
                statement("set_password_hash"), account_id, password_hash
            )
        return found is not None

    async def _find(self, name: str, wanted: str) -> Account | None:
        with translating:
            row = await self._pool.fetchrow(statement(name), wanted)
        return None if row is None else Account(*row)
