"""Where to connect and as whom: the two arguments that every client takes, checked once."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

STREAM_PATH = "/stream/v1"

_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_KEY = re.compile(r"(?P<environment>[a-z0-9]{12})-(?P<kind>[sc])-.+")


@dataclass(frozen=True, slots=True)
class Address:
    """A server's stream, and the key to it."""

    url: str
    """``ws://`` or ``wss://``, with the path of the stream."""
    key: str = field(repr=False)

    @classmethod
    def of(cls, url: str, key: str) -> Address:
        """Read what a user passed. Raises ``ValueError`` saying what is wrong with it."""
        return cls(_stream_url(url), _checked_key(key))

    @property
    def identity(self) -> str:
        """Names the environment, not the secret: stays the same when the key is exchanged."""
        parts = _KEY.fullmatch(self.key)
        if parts is not None:
            return parts["environment"]
        return "sha256:" + hashlib.sha256(self.key.encode()).hexdigest()[:32]


def _stream_url(url: str) -> str:
    parts = urlsplit(url.strip())
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None or not parts.hostname:
        raise ValueError(f"{url!r} is not an address like https://flags.example.org")
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError(f"{url!r}: only scheme, host, port and path belong into the address")
    _ = parts.port  # raises where it is not a number
    path = parts.path.rstrip("/").removesuffix(STREAM_PATH)
    return urlunsplit((scheme, parts.netloc, path + STREAM_PATH, "", ""))


def _checked_key(key: str) -> str:
    key = key.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError("the key is empty, or holds characters that no key has")
    parts = _KEY.fullmatch(key)
    if parts is not None and parts["kind"] == "c":
        raise ValueError("this is a client key; evaluating in a server takes a server key")
    return key
