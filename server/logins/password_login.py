"""From an address and a password to a login, telling strangers nothing on the way.

An unknown address, an account without a password, a disabled one and a wrong password take the
same steps: two counters, one look-up, one run of Argon2. Only then is it decided.
"""

from __future__ import annotations

from domain.system.state import SystemState
from eventstore.accounts import Account, Accounts
from server.logins.counters import LoginCounters
from server.logins.errors import TooManyAttempts, TooManyLogins, WrongCredentials
from server.logins.passwords import Passwords, is_outdated
from server.logins.throttle import (
    OF_ACCOUNT,
    OF_ADDRESS,
    Throttle,
    account_subject,
    address_subject,
)


class PasswordLogin:
    """Recognises people. Raises :class:`~eventstore.errors.StoreError`."""

    def __init__(
        self,
        accounts: Accounts,
        passwords: Passwords,
        throttle: Throttle,
        counters: LoginCounters,
    ) -> None:
        self._accounts = accounts
        self._passwords = passwords
        self._throttle = throttle
        self._counters = counters

    async def recognise(
        self, state: SystemState, email: str, password: str, address: str
    ) -> Account:
        """Whose address and password these are.

        Raises :class:`WrongCredentials`, :class:`TooManyAttempts` or :class:`TooManyLogins`.
        """
        who, where = account_subject(email), address_subject(address)
        try:
            await self._take(who, where)
            account = await self._recognised(state, email, password)
        except TooManyAttempts:
            self._counters.logins["throttled"] += 1
            raise
        except TooManyLogins:
            self._counters.logins["overloaded"] += 1
            raise
        if account is None:
            self._counters.logins["refused"] += 1
            raise WrongCredentials
        self._counters.logins["accepted"] += 1
        await self._throttle.clear(OF_ACCOUNT, who)
        await self._throttle.give_back(OF_ADDRESS, where)
        return account

    async def _take(self, who: str, where: str) -> None:
        for limit, subject in ((OF_ADDRESS, where), (OF_ACCOUNT, who)):
            wait_s = await self._throttle.take(limit, subject)
            if wait_s > 0:
                raise TooManyAttempts(wait_s)

    async def _recognised(self, state: SystemState, email: str, password: str) -> Account | None:
        row = await self._accounts.by_email(email)
        kept = None if row is None else row.password_hash
        right = await self._passwords.matches(kept, password)
        account = None if row is None else state.accounts.get(row.account_id)
        if not right or row is None or account is None or not account.active:
            return None
        if kept is not None and is_outdated(kept):
            hashed = await self._passwords.hashed(password)
            await self._accounts.set_password_hash(row.account_id, hashed)
        return row
