"""Access tokens: JWTs (RFC 7519, RFC 9068) that live some minutes and name one login.

The algorithm is pinned to HS256 and never read from a token. What a token says is believed only
together with its login, which is looked up beside it: it can be ended before the token expires.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import msgspec

from server.logins.signing import KeyRing

ALGORITHM = "HS256"
TYPE = "at+jwt"
ISSUER = "halyard"
AUDIENCE = "halyard-api"
MAX_REMEMBERED = 4_096
"""Tokens whose signature needs no second look."""

_REQUIRED = ["iss", "aud", "sub", "sid", "iat", "exp"]
_MAX_ID_LENGTH = 64


class Claims(msgspec.Struct, frozen=True):
    """What a valid token says."""

    account_id: str
    session_id: str
    expires_at: float
    """Seconds since 1970."""
    key_id: str


class InvalidAccessToken(Exception):
    """Forged, expired, meant for somebody else, or no access token at all."""


def looks_like_one(presented: bytes) -> bool:
    """Whether it has the form of a JWT, which no API token and no SDK key has."""
    return presented.count(b".") == 2


class AccessTokens:
    """Issues and verifies. Raises :class:`~eventstore.errors.StoreError` for the keys."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self._verified: OrderedDict[bytes, Claims] = OrderedDict()
        """By the SHA-256 of the token."""

    async def issue(self, account_id: str, session_id: str, lives: timedelta) -> str:
        """A token for one login."""
        key = await self._ring.signing()
        now = datetime.now(UTC)
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": account_id,
            "sid": session_id,
            "iat": int(now.timestamp()),
            "exp": int((now + lives).timestamp()),
        }
        headers = {"kid": key.key_id, "typ": TYPE}
        return jwt.encode(claims, key.secret, algorithm=ALGORITHM, headers=headers)

    async def verify(self, presented: bytes) -> Claims:
        """What the token says. Raises :class:`InvalidAccessToken`."""
        digest = hashlib.sha256(presented).digest()
        known = self._verified.get(digest)
        if known is None:
            known = await self._examined(presented)
            self._remember(digest, known)
        elif await self._ring.verifying(known.key_id) is None:
            raise InvalidAccessToken("its key is no longer valid")
        if known.expires_at <= datetime.now(UTC).timestamp():
            raise InvalidAccessToken("it has expired")
        return known

    def _remember(self, digest: bytes, claims: Claims) -> None:
        self._verified[digest] = claims
        while len(self._verified) > MAX_REMEMBERED:
            self._verified.popitem(last=False)

    async def _examined(self, presented: bytes) -> Claims:
        try:
            header = jwt.get_unverified_header(presented)
        except jwt.PyJWTError as error:
            raise InvalidAccessToken("it cannot be read") from error
        key_id = header.get("kid")
        if not isinstance(key_id, str) or not _is_id(key_id):
            raise InvalidAccessToken("it names no key")
        if (header.get("alg"), header.get("typ")) != (ALGORITHM, TYPE):
            raise InvalidAccessToken("it is no access token")
        key = await self._ring.verifying(key_id)
        if key is None:
            raise InvalidAccessToken("its key is unknown")
        try:
            said = jwt.decode(
                presented,
                key.secret,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={"require": _REQUIRED},
            )
        except jwt.PyJWTError as error:
            raise InvalidAccessToken(str(error)) from error
        if not (_is_id(said["sub"]) and _is_id(said["sid"])):
            raise InvalidAccessToken("it names no login")
        return Claims(said["sub"], said["sid"], float(said["exp"]), key_id)


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MAX_ID_LENGTH
