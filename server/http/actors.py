"""The names of those who acted; of somebody who was erased, a pseudonym."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from eventstore.accounts import Accounts
from server.logins.people import pseudonym


class AccountNames:
    """Looks names up where people's data are kept, each time: they can be corrected and erased."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def __call__(self, ids: Collection[str]) -> Mapping[str, str]:
        """Names by account id. Raises :class:`~eventstore.errors.StoreError`."""
        found = await self._accounts.by_ids(ids)
        return {
            row.account_id: pseudonym(row.account_id) if row.erased_at else row.name
            for row in found
        }
