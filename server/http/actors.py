"""The names of those who acted. An account that was erased has none."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from eventstore.accounts import Accounts


class AccountNames:
    """Looks names up where people's data are kept, each time: they can be corrected and erased."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def __call__(self, ids: Collection[str]) -> Mapping[str, str]:
        """Names by account id. Raises :class:`~eventstore.errors.StoreError`."""
        found = [await self._accounts.by_id(account_id) for account_id in ids]
        return {account.account_id: account.name for account in found if account is not None}
