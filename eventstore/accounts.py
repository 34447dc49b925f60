"""Personal data of operators. No event may hold any of it: events name accounts by opaque ids."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from typing import Literal, NamedTuple, TypeAlias

import asyncpg
import msgspec

from eventstore.errors import StoreConflict, translating
from eventstore.statements import statement


class Account(msgspec.Struct, frozen=True):
    """One operator."""

    account_id: str
    email: str | None
    """None once it was erased."""
    name: str
    password_hash: str | None
    """None where the account cannot log in with a password."""
    created_at: datetime
    email_verified: bool = False
    """Whether somebody has vouched that the address is the person's: an identity provider."""
    erased_at: datetime | None = None


OrderBy: TypeAlias = Literal["name", "email", "created"]


class AccountPlace(NamedTuple):
    """Where an account stands in an order; the id tells equals apart."""

    value: str
    account_id: str


class EmailTaken(StoreConflict):
    """Another account has this address; upper and lower case do not matter."""


_WILD = re.compile(r"[\\%_]")


def _in_words(conflict: StoreConflict, email: str) -> StoreConflict:
    if conflict.constraint == "account_by_email":
        return EmailTaken(conflict.constraint, f"{email} has an account")
    return conflict


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
            raise _in_words(conflict, email) from conflict
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

    async def by_ids(self, ids: Collection[str]) -> tuple[Account, ...]:
        """Those of these accounts that there are, in any order."""
        with translating:
            rows = await self._pool.fetch(statement("accounts_by_ids"), list(ids))
        return tuple(Account(*row) for row in rows)

    async def search(self, text: str) -> tuple[Account, ...]:
        """Those whose name or address contains ``text``, in any case of letters; in any order."""
        with translating:
            rows = await self._pool.fetch(statement("search_accounts"), _WILD.sub(r"\\\g<0>", text))
        return tuple(Account(*row) for row in rows)

    async def page(
        self,
        ids: Collection[str],
        limit: int,
        *,
        text: str = "",
        by: OrderBy = "name",
        after: AccountPlace | None = None,
        erased_name: str = "",
    ) -> list[tuple[AccountPlace, Account]]:
        """Those of these accounts that :meth:`search` finds, in order, from behind a place.

        Who was erased stands, by name, where ``erased_name`` with some of the id does.
        """
        sought, (place, behind) = _WILD.sub(r"\\\g<0>", text), after or (None, None)
        with translating:
            rows = await self._pool.fetch(
                statement("page_of_accounts"),
                *(sought, by, place, behind, list(ids), limit, erased_name),
            )
        return [(AccountPlace(row[0], row[1]), Account(*row[1:])) for row in rows]

    async def change_profile(
        self, account_id: str, name: str | None, email: str | None
    ) -> Account | None:
        """Set what is not None. None without such an account. Raises :class:`EmailTaken`."""
        try:
            with translating:
                row = await self._pool.fetchrow(
                    statement("change_profile"), account_id, name, email
                )
        except StoreConflict as conflict:
            raise _in_words(conflict, email or "") from conflict
        return None if row is None else Account(*row)

    async def verify_email(self, account_id: str, email: str) -> bool:
        """Note that the address is the person's; false where the account has another one."""
        with translating:
            found = await self._pool.fetchval(statement("verify_email"), account_id, email)
        return found is not None

    async def remove(self, account_id: str) -> None:
        """Take back an account that came to nothing."""
        with translating:
            await self._pool.execute(statement("remove_account"), account_id)

    async def erase(self, account_id: str) -> bool:
        """Forget the person, with every login. False without such an account."""
        with translating:
            return await self._pool.fetchval(statement("erase_account"), account_id) is not None

    async def _find(self, name: str, wanted: str) -> Account | None:
        with translating:
            row = await self._pool.fetchrow(statement(name), wanted)
        return None if row is None else Account(*row)
