"""SDK keys as clients present them: ``<environment id>-s-<secret>``, or ``-c-`` for client keys.

Where nothing but an address can be given (an ``EventSource`` sends no headers), a listening key
stands for an SDK key. It opens the news that something changed, and nothing else: not what, and no
value. A client key is its own, being public. That of a server key has its SHA-256, which is what
rulesets know of the key: the secret cannot be found from it, and it is dead once the key is.

A client key may name whose pages can use it. That keeps a site from using another one's key; it
keeps no program out, which can say any origin it likes, or none.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from typing import Literal

import msgspec
from halyard_protocol.session.documents import Document

_KEY = re.compile(r"([a-z0-9]{12})-([sc])-[\x21-\x7e]{1,200}")
_LISTENING_KEY = re.compile(r"([a-z0-9]{12})-e-([0-9a-f]{64})")
_ENVIRONMENT_LENGTH = 12
_DOCUMENT_KEY = "key:"
_LABEL = re.compile(r"[a-z0-9_-]+")
_WILDCARD = "*."


class SdkKey(msgspec.Struct, frozen=True):
    """A key that has the form of one; whether it is live, only the ruleset knows."""

    environment: str
    """The environment's opaque id."""
    kind: Literal["server", "client"]
    document_key: str
    """Where the ruleset has it: by the SHA-256 of a server key, by a client key itself."""


def environment_of(presented: str) -> str:
    """The id of the environment that a key belongs to, where it is a key."""
    return presented[:_ENVIRONMENT_LENGTH]


def has_form_of_key(presented: str) -> bool:
    """Whether this can be an SDK key at all."""
    return _KEY.fullmatch(presented) is not None


def read_key(presented: str) -> SdkKey | None:
    """Read what a client presented; None where it cannot be a key."""
    found = _KEY.fullmatch(presented)
    if found is None:
        return None
    environment, kind = found.groups()
    if kind == "c":
        return SdkKey(environment, "client", f"{_DOCUMENT_KEY}{presented}")
    digest = hashlib.sha256(presented.encode()).hexdigest()
    return SdkKey(environment, "server", f"{_DOCUMENT_KEY}{digest}")


def is_client_key(document_key: str) -> bool:
    """Whether a key's document is that of a client key: those stand there as they are."""
    return has_form_of_key(document_key.removeprefix(_DOCUMENT_KEY))


def listening_key(key: SdkKey) -> str:
    """What may stand in an address in place of the key."""
    told = key.document_key.removeprefix(_DOCUMENT_KEY)
    return told if key.kind == "client" else f"{key.environment}-e-{told}"


def read_listening_key(presented: str) -> SdkKey | None:
    """The SDK key that a listening key stands for; None where it cannot be one.

    A secret is none: it has no business in an address.
    """
    found = _LISTENING_KEY.fullmatch(presented)
    if found is not None:
        return SdkKey(found[1], "server", _DOCUMENT_KEY + found[2])
    key = read_key(presented)
    return key if key is not None and key.kind == "client" else None


class _Restricted(msgspec.Struct, frozen=True, rename="camel"):
    origins: tuple[str, ...] = ()
    expires_at: datetime | None = None


_restricted_decoder = msgspec.json.Decoder(_Restricted)


def allowed_origins(document: Document) -> tuple[str, ...]:
    """Whose pages may use a live key, by its document; empty for anybody's."""
    # Most keys have none, and then a handshake need not decode anything.
    if b'"origins"' not in document.body:
        return ()
    return _restricted_decoder.decode(document.body).origins


def end_of(document: Document) -> datetime | None:
    """From when on a key opens nothing, by its document; None where it has no end."""
    if b'"expiresAt"' not in document.body:
        return None
    return _restricted_decoder.decode(document.body).expires_at


def origin_allowed(document: Document, origin: str | None) -> bool:
    """Whether a page of ``origin`` may use a live key.

    Args:
        document: the key's, as the feed has it.
        origin: the request's header of that name; None where there was none: whoever asks is no
            page, or one of this server's own.
    """
    if origin is None:
        return True
    origins = allowed_origins(document)
    return not origins or any(_covers(allowed, origin.lower()) for allowed in origins)


def _covers(allowed: str, origin: str) -> bool:
    scheme, separator, domain = allowed.partition("://" + _WILDCARD)
    if not separator:
        return allowed == origin
    before, after = f"{scheme}://", f".{domain}"
    if not (origin.startswith(before) and origin.endswith(after)):
        return False
    return _LABEL.fullmatch(origin[len(before) : -len(after)]) is not None
