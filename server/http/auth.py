"""Who is asking: a Bearer token is an API token of an account in ``$system``.

A token is a random secret that only its holder has; the log knows its SHA-256. The look-up is by
that hash, so the time it takes says nothing about the secret: what an attacker could learn of a
stored hash does not help to find a token that has it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from domain.system import Account
from server.http.faults import Forbidden, Unauthenticated
from server.writing.writers import Writers

MAX_TOKEN_LENGTH = 512

ROLES: dict[str, Callable[[str], bool]] = {"admin": lambda _permission: True}
"""What each role may do: a predicate on verbs such as ``flag:write``."""


class Authenticator:
    """Knows accounts by their tokens."""

    def __init__(self, writers: Writers) -> None:
        self._writers = writers

    async def account(self, authorization: bytes | None) -> Account:
        """The account behind an ``Authorization`` header. Raises :class:`Unauthenticated`."""
        token = bearer_token(authorization)
        state = (await self._writers.system()).state
        account = state.holder(hashlib.sha256(token).hexdigest())
        if account is None:
            raise Unauthenticated("the token is unknown, or was revoked", "invalid_token")
        return account


def bearer_token(authorization: bytes | None) -> bytes:
    """The token in an ``Authorization`` header. Raises :class:`Unauthenticated`."""
    if authorization is None:
        raise Unauthenticated("send 'Authorization: Bearer <token>'")
    scheme, _, token = authorization.strip().partition(b" ")
    token = token.strip()
    if scheme.lower() != b"bearer" or not 0 < len(token) <= MAX_TOKEN_LENGTH:
        raise Unauthenticated("send 'Authorization: Bearer <token>'", "invalid_request")
    return token


def authorise(account: Account, permission: str) -> None:
    """Raises :class:`Forbidden` where the account's role lacks the permission."""
    allows = ROLES.get(account.role)
    if allows is None or not allows(permission):
        raise Forbidden(permission)
