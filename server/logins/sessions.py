"""Logins: begun, refreshed, ended, and whether one is good at present.

A process asks the database about a login once a second at most, and remembers the answer in
between: that is how soon an ended one is refused here. What ends all logins of an account at once
(disabling it, logging out everywhere) comes through ``$system``, which every process follows.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import structlog

from domain.system.state import Account, SystemState
from domain.system.vocabulary import InstallationSettings
from eventstore.logins import Login, Logins, Reused
from server.credentials import fingerprint, new_id
from server.logins.access_tokens import AccessTokens
from server.logins.counters import LoginCounters
from server.logins.errors import SecretSpent

log = structlog.get_logger(__name__)

CHECKED_FOR_S = 1.0
TOUCH_EVERY = timedelta(minutes=1)
MAX_REMEMBERED = 10_000
REFRESH_PREFIX = "hlr_"
COOKIE_PREFIX = "hlc_"
USER_AGENT_LENGTH = 200


class Opened(NamedTuple):
    """A login, and the secrets that open it: shown this once."""

    login: Login
    access_token: str = ""
    expires_in_s: int = 0
    refresh_token: str = ""
    cookie: str = ""
    """Of a browser's login, in place of the tokens."""


def is_good(
    login: Login, account: Account | None, settings: InstallationSettings, now: datetime
) -> bool:
    """Whether a login opens its account."""
    if account is None or account.id != login.account_id or not account.active or account.service:
        return False
    if account.sessions_ended_at is not None and login.created_at <= account.sessions_ended_at:
        return False
    return login.ended_at is None and now < min(
        login.used_at + timedelta(hours=settings.session_idle_hours),
        login.created_at + timedelta(days=settings.session_days),
    )


class LoginSessions:
    """All logins, as this process sees them. Raises :class:`~eventstore.errors.StoreError`."""

    def __init__(self, stored: Logins, tokens: AccessTokens, counters: LoginCounters) -> None:
        self._stored = stored
        self._tokens = tokens
        self._counters = counters
        self._seen: OrderedDict[str, tuple[Login, float]] = OrderedDict()
        """By id, with when it was read (monotonic)."""
        self._by_cookie: OrderedDict[str, str] = OrderedDict()
        """From the SHA-256 of a cookie to the id."""

    async def begin(
        self,
        state: SystemState,
        account_id: str,
        *,
        address: str,
        user_agent: str,
        provider: str = "",
        browser: bool = False,
    ) -> Opened:
        """A new login, under an id of its own, of an account whose owner has been recognised."""
        secret = (COOKIE_PREFIX if browser else REFRESH_PREFIX) + secrets.token_hex(32)
        hashed = fingerprint(secret)
        login = await self._stored.begin(
            new_id(),
            account_id,
            provider=provider,
            address=address,
            user_agent=user_agent[:USER_AGENT_LENGTH],
            cookie_sha256=hashed if browser else None,
            refresh_sha256=None if browser else hashed,
        )
        self._remember(login)
        if browser:
            return Opened(login, cookie=secret)
        return await self._opened(state, login, secret)

    async def refresh(self, state: SystemState, presented: str, address: str) -> Opened:
        """The next tokens of a login. Raises :class:`SecretSpent`.

        The presented token opens nothing any more. One that comes a second time was copied: its
        login ends, whoever of the two it is who asks.
        """
        now = datetime.now(UTC)

        def may_go_on(login: Login) -> bool:
            return is_good(login, state.accounts.get(login.account_id), state.settings, now)

        following = REFRESH_PREFIX + secrets.token_hex(32)
        found = await self._stored.refresh(
            fingerprint(presented), fingerprint(following), address, may_go_on
        )
        match found:
            case Login():
                self._seen.pop(found.session_id, None)
                return await self._opened(state, found, following)
            case Reused(login):
                self._seen.pop(login.session_id, None)
                self._counters.logins["reused"] += 1
                log.warning(
                    "refresh_token_reused", account=login.account_id, session=login.session_id
                )
        raise SecretSpent

    async def _opened(self, state: SystemState, login: Login, refresh_token: str) -> Opened:
        lives = timedelta(minutes=state.settings.access_token_minutes)
        token = await self._tokens.issue(login.account_id, login.session_id, lives)
        return Opened(login, token, int(lives.total_seconds()), refresh_token)

    async def good(self, state: SystemState, session_id: str) -> tuple[Login, Account] | None:
        """The login of this id and its account, if it is good; notes that it is used."""
        login = await self._read(session_id)
        if login is None:
            return None
        account, now = state.accounts.get(login.account_id), datetime.now(UTC)
        if account is None or not is_good(login, account, state.settings, now):
            return None
        if now - login.used_at > TOUCH_EVERY:
            self._seen.pop(session_id, None)
            await self._stored.touch(session_id)
        return login, account

    async def good_by_cookie(self, state: SystemState, cookie: str) -> tuple[Login, Account] | None:
        """The same for what a browser sent."""
        hashed = fingerprint(cookie)
        session_id = self._by_cookie.get(hashed)
        if session_id is None:
            login = await self._stored.by_cookie(hashed)
            if login is None:
                return None
            session_id = self._by_cookie[hashed] = login.session_id
            while len(self._by_cookie) > MAX_REMEMBERED:
                self._by_cookie.popitem(last=False)
        return await self.good(state, session_id)

    async def of(self, state: SystemState, account_id: str) -> tuple[Login, ...]:
        """The good ones of an account, the latest first."""
        account, now = state.accounts.get(account_id), datetime.now(UTC)
        found = await self._stored.of(account_id)
        return tuple(login for login in found if is_good(login, account, state.settings, now))

    async def end(self, session_id: str, account_id: str) -> bool:
        """End one login of an account; false where it has no such."""
        self._seen.pop(session_id, None)
        return await self._stored.end(session_id, account_id)

    async def end_all(self, account_id: str, but: str | None = None) -> int:
        """End every login of an account, ``but`` for one; how many that were."""
        ended = await self._stored.end_all(account_id, but)
        for session_id in ended:
            self._seen.pop(session_id, None)
        return len(ended)

    async def _read(self, session_id: str) -> Login | None:
        known = self._seen.get(session_id)
        if known is not None and time.monotonic() - known[1] < CHECKED_FOR_S:
            return known[0]
        login = await self._stored.by_id(session_id)
        if login is not None:
            self._remember(login)
        return login

    def _remember(self, login: Login) -> None:
        self._seen.pop(login.session_id, None)
        self._seen[login.session_id] = (login, time.monotonic())
        while len(self._seen) > MAX_REMEMBERED:
            self._seen.popitem(last=False)
