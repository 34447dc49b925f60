"""Everything around logins together, as the HTTP API and the command line have it."""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

from eventstore.accounts import Accounts
from eventstore.login_secrets import LoginSecrets
from eventstore.logins import Logins
from projections.script import RedisClient
from server.logins.access_tokens import AccessTokens
from server.logins.counters import LoginCounters
from server.logins.keeper import LoginKeeper
from server.logins.password_login import PasswordLogin
from server.logins.passwords import Passwords
from server.logins.people import Erases, People
from server.logins.sessions import LoginSessions
from server.logins.signing import KeyRing
from server.logins.throttle import Throttle
from server.writing.writers import Writers


@dataclass(frozen=True, slots=True)
class LoginDesk:
    """Where people come in."""

    passwords: Passwords
    tokens: AccessTokens
    sessions: LoginSessions
    people: People
    by_password: PasswordLogin
    throttle: Throttle
    keeper: LoginKeeper
    counters: LoginCounters

    def close(self) -> None:
        """Take no more work."""
        self.passwords.close()


def login_desk(
    pool: asyncpg.Pool,
    writers: Writers,
    redis: RedisClient | None,
    elsewhere: tuple[Erases, ...] = (),
) -> LoginDesk:
    """Put it together; ``elsewhere`` are further places that forget who is erased."""
    accounts, stored, stored_secrets = Accounts(pool), Logins(pool), LoginSecrets(pool)
    passwords, throttle, counters = Passwords(), Throttle(redis), LoginCounters()
    tokens = AccessTokens(KeyRing(stored_secrets))
    sessions = LoginSessions(stored, tokens, counters)
    people = People(writers, accounts, stored_secrets, sessions, elsewhere)
    return LoginDesk(
        passwords=passwords,
        tokens=tokens,
        sessions=sessions,
        people=people,
        by_password=PasswordLogin(accounts, passwords, throttle, counters),
        throttle=throttle,
        keeper=LoginKeeper(stored, stored_secrets, people),
        counters=counters,
    )
