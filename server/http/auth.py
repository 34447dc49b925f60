"""Who is asking: a Bearer token is an API token of an account in ``$system``, or an SDK key.

A token is a random secret that only its holder has; the log knows its SHA-256. The look-up is by
that hash, so the time it takes says nothing about the secret: what an attacker could learn of a
stored hash does not help to find a token that has it.

An SDK key opens the routes that name its kind, and no others. It may also come as ``X-API-Key``,
which is where OFREP clients put it; and as a listening key in the address, where a route takes
one. What has the form of a key is never looked up as a token there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from domain.system import Account
from server.http.faults import (
    Forbidden,
    ForeignOrigin,
    NotServedHere,
    RulesetUnavailable,
    Unauthenticated,
    WrongKindOfKey,
)
from server.writing.writers import Writers
from streaming.caller import KeyRefused, NotAvailable
from streaming.keys import has_form_of_key

if TYPE_CHECKING:
    from server.http.call import Call
    from server.http.routes import Route
    from streaming.serving import ServedEnvironment

MAX_TOKEN_LENGTH = 512

_FOR_ACCOUNTS = "send an account's token: 'Authorization: Bearer <token>'"
_FOR_KEYS = "send an SDK key: 'Authorization: Bearer <key>' or 'X-API-Key: <key>'"
_FOR_EITHER = "send an account's token or an SDK key: 'Authorization: Bearer <token or key>'"

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
            raise Unauthenticated(_why_unknown(token), "invalid_token")
        return account


def _why_unknown(token: bytes) -> str:
    if has_form_of_key(token.decode("latin-1")):
        return f"an SDK key does not open this; {_FOR_ACCOUNTS}"
    return "the token is unknown, or was revoked"


def bearer_token(authorization: bytes | None, wanted: str = _FOR_ACCOUNTS) -> bytes:
    """The token in an ``Authorization`` header.

    Raises :class:`Unauthenticated`, saying what is ``wanted`` instead.
    """
    if authorization is None:
        raise Unauthenticated(wanted)
    scheme, _, token = authorization.strip().partition(b" ")
    token = token.strip()
    if scheme.lower() != b"bearer" or not 0 < len(token) <= MAX_TOKEN_LENGTH:
        raise Unauthenticated(wanted, "invalid_request")
    return token


def authorise(account: Account, permission: str) -> None:
    """Raises :class:`Forbidden` where the account's role lacks the permission."""
    allows = ROLES.get(account.role)
    if allows is None or not allows(permission):
        raise Forbidden(permission)


async def admit(call: Call, route: Route) -> None:
    """Find out who asks, and whether they may: sets the call's ``account`` or ``served``.

    Raises :class:`Unauthenticated`, :class:`Forbidden`, :class:`WrongKindOfKey`,
    :class:`ForeignOrigin`, :class:`RulesetUnavailable` or :class:`NotServedHere`.
    """
    listening_key = _listening_key(call) if route.listens else None
    if listening_key is not None:
        call.served = await _served(call, route, listening_key, listening=True)
        return
    if route.sdk_keys:
        presented = presented_key(call, _FOR_EITHER if route.permission else _FOR_KEYS)
        if route.permission is None or has_form_of_key(presented):
            call.served = await _served(call, route, presented)
            return
    if route.permission is not None:
        authenticator = call.dependencies.authenticator
        call.account = await authenticator.account(call.headers.get(b"authorization"))
        authorise(call.account, route.permission)


def presented_key(call: Call, wanted: str) -> str:
    """What was sent in place of an SDK key; else :class:`Unauthenticated` says what is wanted."""
    key = call.headers.get(b"x-api-key")
    if key is None:
        key = bearer_token(call.headers.get(b"authorization"), wanted)
    return key.decode("latin-1")


def _listening_key(call: Call) -> str | None:
    """What stands in the address in place of a key in a header; None where nothing does."""
    named = parse_qs(call.raw_query.decode("latin-1")).get("key")
    return named[0] if named else None


async def _served(
    call: Call, route: Route, presented: str, *, listening: bool = False
) -> ServedEnvironment:
    gateway, timeout_s = call.dependencies.gateway, call.dependencies.settings.key_timeout_s
    if gateway is None:
        raise NotServedHere("SDK keys")
    try:
        if listening:
            served = await gateway.listen_with(presented, timeout_s)
        else:
            served = await gateway.serve_key(presented, timeout_s, evaluating=route.evaluates)
    except KeyRefused as error:
        raise Unauthenticated(f"the SDK key is not accepted: {error}", "invalid_token") from error
    except NotAvailable as error:
        raise RulesetUnavailable(str(error)) from error
    if served.kind not in route.sdk_keys:
        raise WrongKindOfKey(served.kind)
    origin = call.origin
    if origin is not None and not served.admits(origin):
        raise ForeignOrigin(origin, served.key_id)
    return served
