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
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from domain.system.state import Account, SystemState, Token
from eventstore.logins import Login
from server.http.authorisation import permit
from server.http.cookies import presented_cookie, refuse_forgery
from server.http.credential import Credential
from server.http.faults import (
    ForeignOrigin,
    NotServedHere,
    RulesetUnavailable,
    Unauthenticated,
    WrongKindOfKey,
)
from server.logins.access_tokens import InvalidAccessToken, looks_like_one
from server.token_use import TokenUseNotes
from server.writing.writers import Writers
from streaming.caller import KeyRefused, NotAvailable
from streaming.keys import has_form_of_key

if TYPE_CHECKING:
    from server.http.call import Call
    from server.http.routes import Route
    from server.logins.desk import LoginDesk
    from streaming.serving import ServedEnvironment

MAX_TOKEN_LENGTH = 512

_FOR_ACCOUNTS = "send an account's token: 'Authorization: Bearer <token>'"
_NOT_VALID = "the access token has expired, or its login has ended: refresh it, or log in again"
_FOR_KEYS = "send an SDK key: 'Authorization: Bearer <key>' or 'X-API-Key: <key>'"
_FOR_EITHER = "send an account's token or an SDK key: 'Authorization: Bearer <token or key>'"


class Authenticator:
    """Knows accounts by their API tokens, access tokens and cookies, in that order."""

    def __init__(
        self,
        writers: Writers,
        desk: LoginDesk | None = None,
        *,
        token_uses: TokenUseNotes | None = None,
    ) -> None:
        self._writers = writers
        self._desk = desk
        self.token_uses = token_uses
        """When tokens are used; None where nobody wants to know."""

    async def identify(self, call: Call) -> tuple[Account, Credential]:
        """Who asks, and by what. Raises :class:`Unauthenticated` or :class:`ForgedRequest`.

        Where there is a header, a cookie beside it is not looked at.
        """
        state = (await self._writers.system()).state
        cookie = presented_cookie(call)
        if self._desk is not None and cookie and not _has_header(call):
            found = await self._desk.sessions.good_by_cookie(state, cookie)
            if found is None:
                raise Unauthenticated("the login has ended: log in again", "invalid_token")
            refuse_forgery(call, cookie)
            return _as_session(*found)
        presented = bearer_token(call.headers.get(b"authorization"))
        if self._desk is not None and looks_like_one(presented):
            return await self._by_access_token(self._desk, state, presented)
        digest = hashlib.sha256(presented).hexdigest()
        account, token = state.holder(digest, datetime.now(UTC)), state.token(digest)
        if account is None or token is None:
            raise Unauthenticated(_why_refused(presented, token), "invalid_token")
        if self.token_uses is not None:
            self.token_uses.used(token.id)
        return account, Credential("token", token.id, token.scope)

    async def _by_access_token(
        self, desk: LoginDesk, state: SystemState, presented: bytes
    ) -> tuple[Account, Credential]:
        try:
            claims = await desk.tokens.verify(presented)
        except InvalidAccessToken as error:
            raise Unauthenticated(_NOT_VALID, "invalid_token") from error
        found = await desk.sessions.good(state, claims.session_id)
        if found is None or found[1].id != claims.account_id:
            raise Unauthenticated(_NOT_VALID, "invalid_token")
        return _as_session(*found)


def _as_session(login: Login, account: Account) -> tuple[Account, Credential]:
    return account, Credential("session", login.session_id, provider=login.provider)


def _has_header(call: Call) -> bool:
    return b"authorization" in call.headers or b"x-api-key" in call.headers


def _why_refused(presented: bytes, token: Token | None) -> str:
    """In words; who has the secret of a token that there is may know what became of it."""
    if token is not None:
        is_open = token.is_open(datetime.now(UTC))
        return "the token's account is disabled" if is_open else "the token has expired"
    if has_form_of_key(presented.decode("latin-1")):
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


async def admit(call: Call, route: Route) -> None:
    """Find out who asks, and whether they may: sets ``account`` and ``credential``, or ``served``.

    Raises :class:`Unauthenticated`, :class:`NotPermitted`, :class:`WrongKindOfKey`,
    :class:`ForeignOrigin`, :class:`RulesetUnavailable` or :class:`NotServedHere`.
    """
    listening_key = _listening_key(call) if route.listens else None
    if listening_key is not None:
        call.served = await _served(call, route, listening_key, listening=True)
        return
    by_cookie = route.permission is not None and not _has_header(call) and presented_cookie(call)
    if route.sdk_keys and not by_cookie:
        presented = presented_key(call, _FOR_EITHER if route.permission else _FOR_KEYS)
        if route.permission is None or has_form_of_key(presented):
            call.served = await _served(call, route, presented)
            return
    if route.permission is not None:
        call.account, call.credential = await call.dependencies.authenticator.identify(call)
        await permit(call, route)


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
