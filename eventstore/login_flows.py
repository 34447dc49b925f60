"""Logins that are under way at an identity provider: each comes back once, within minutes."""

from __future__ import annotations

from datetime import timedelta

import asyncpg
import msgspec

from eventstore.errors import translating
from eventstore.statements import statement


class LoginFlow(msgspec.Struct, frozen=True):
    """What was drawn for one login, and what shall become of it."""

    provider: str
    state: str
    nonce: str
    verifier: str
    redirect_uri: str
    """Where the provider sends the browser back to."""
    return_to: str
    """Where it goes then."""
    account_id: str | None = None
    """Who was logged in, and asked for a link."""


class LoginFlows:
    """By the hash of a secret that only the browser has.

    Raises :class:`~eventstore.errors.StoreError`.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def keep(self, browser_sha256: str, flow: LoginFlow, valid: timedelta) -> None:
        """Remember one for so long; what has expired is forgotten."""
        with translating:
            await self._pool.execute(
                statement("keep_login_flow"),
                browser_sha256,
                *msgspec.structs.astuple(flow),
                valid,
            )

    async def take(self, browser_sha256: str) -> LoginFlow | None:
        """The one of a browser, which is then gone; None where there is none, or it expired."""
        with translating:
            row = await self._pool.fetchrow(statement("take_login_flow"), browser_sha256)
        if row is None:
            return None
        *fields, is_good = row
        return LoginFlow(*fields) if is_good else None
