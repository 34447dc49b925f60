"""Logins, and the refresh tokens by which they go on.

Secrets come as their SHA-256 in hexadecimal. Whether a login that has not ended is still good is
not decided here: that depends on the account and on settings.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import asyncpg
import msgspec

from eventstore.errors import translating
from eventstore.statements import statement

USED_TOKENS_KEPT = timedelta(days=7)
"""A refresh token that was used before is told from one that never was for so long."""


class Login(msgspec.Struct, frozen=True):
    """One login of one account."""

    session_id: str
    account_id: str
    provider: str
    """Empty for one by password, else the identity provider's key."""
    address: str
    """Of the peer, when it began or was last refreshed."""
    user_agent: str
    browser: bool
    """Whether it lives in a cookie."""
    created_at: datetime
    used_at: datetime
    """To the minute."""
    ended_at: datetime | None


class Reused(msgspec.Struct, frozen=True):
    """A refresh token came a second time; the login has ended now."""

    login: Login


class Logins:
    """All logins of the installation. Raises :class:`~eventstore.errors.StoreError`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def begin(
        self,
        session_id: str,
        account_id: str,
        *,
        provider: str,
        address: str,
        user_agent: str,
        cookie_sha256: str | None = None,
        refresh_sha256: str | None = None,
    ) -> Login:
        """Record a login that is opened by a cookie or by a refresh token."""
        given = (session_id, account_id, provider, address, user_agent)
        with translating:
            row = await self._pool.fetchrow(
                statement("begin_login"), *given, cookie_sha256, refresh_sha256
            )
        return Login(*row)

    async def by_id(self, session_id: str) -> Login | None:
        """The login with this id, ended or not."""
        return await self._find("login_by_id", session_id)

    async def by_cookie(self, cookie_sha256: str) -> Login | None:
        """The login that a cookie opens, ended or not."""
        return await self._find("login_by_cookie", cookie_sha256)

    async def of(self, account_id: str) -> tuple[Login, ...]:
        """Those of an account that have not ended, the latest first."""
        with translating:
            rows = await self._pool.fetch(statement("logins_of"), account_id)
        return tuple(Login(*row) for row in rows)

    async def touch(self, session_id: str) -> None:
        """Note that it is in use."""
        with translating:
            await self._pool.execute(statement("touch_login"), session_id)

    async def refresh(
        self, presented: str, following: str, address: str, may_go_on: Callable[[Login], bool]
    ) -> Login | Reused | None:
        """Put one refresh token in the place of another, and answer the login.

        None where nothing was ever opened by ``presented``, the login has ended, or
        ``may_go_on`` says no. One that was used before ends the login.
        """
        with translating:
            async with self._pool.acquire() as connection, connection.transaction():
                row = await connection.fetchrow(statement("presented_refresh_token"), presented)
                if row is None:
                    return None
                used_at, *columns = row
                login = Login(*columns)
                if login.ended_at is not None:
                    return None
                if used_at is not None:
                    ending = (login.session_id, login.account_id)
                    await connection.execute(statement("end_login"), *ending)
                    return Reused(login)
                if not may_go_on(login):
                    return None
                await connection.execute(
                    statement("follow_refresh_token"),
                    presented,
                    following,
                    address,
                    USED_TOKENS_KEPT,
                )
                return login

    async def end(self, session_id: str, account_id: str) -> bool:
        """End a login of this account. False where it has none such that goes on."""
        with translating:
            ended = await self._pool.fetchval(statement("end_login"), session_id, account_id)
        return ended is not None

    async def end_all(self, account_id: str, but: str | None = None) -> tuple[str, ...]:
        """End every login of an account, ``but`` for one; answers the ids of those that ended."""
        with translating:
            rows = await self._pool.fetch(statement("end_logins"), account_id, but)
        return tuple(row[0] for row in rows)

    async def forget(self, idle: timedelta, longest: timedelta) -> None:
        """Remove what is over: ended, not used for ``idle``, or begun ``longest`` ago."""
        with translating:
            await self._pool.execute(statement("forget_logins"), idle, longest)

    async def _find(self, name: str, wanted: str) -> Login | None:
        with translating:
            row = await self._pool.fetchrow(statement(name), wanted)
        return None if row is None else Login(*row)
