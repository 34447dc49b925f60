"""The address of a webhook, taken apart strictly: what could be read in two ways is refused.

What a name resolves to is not known here; see :mod:`server.webhooks.networks` for that. Only what
an address is in itself is judged: scheme, host, port, path.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, Literal, cast
from urllib.parse import urlsplit

import msgspec

MAX_URL_LENGTH: Final = 2_000
MAX_HOST_LENGTH: Final = 253
LOW_PORTS: Final = (80, 443)
"""Of the ports below 1024 those that speak HTTP; the others belong to other protocols."""

_ALLOWED = re.compile(r"[!-~]+")
_UNSAFE = re.compile(r'[\\<>"^`{|}]')
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_BRACKETS = re.compile(r"\[([^\]]*)\](?::[0-9]+)?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


class InvalidDestination(ValueError):
    """Says what is wrong with an address, without repeating it: it may hold a secret."""


class Destination(msgspec.Struct, frozen=True):
    """Where a webhook goes."""

    scheme: Literal["http", "https"]
    host: str
    """A name in lower case, or an address without brackets."""
    port: int
    path: str
    """With its query; at least ``/``."""

    @property
    def literal(self) -> IPv4Address | IPv6Address | None:
        """The address, where the host is one."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None

    @property
    def origin(self) -> str:
        """Scheme, host and port: what may be shown."""
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        """What the header ``Host`` says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"http": 80, "https": 443}[self.scheme]
        return host if self.port == usual else f"{host}:{self.port}"


def read_destination(url: str) -> Destination:
    """Take an address apart. Raises :class:`InvalidDestination`."""
    if len(url) > MAX_URL_LENGTH:
        raise InvalidDestination(f"has at most {MAX_URL_LENGTH} characters")
    if not _ALLOWED.fullmatch(url):
        raise InvalidDestination(
            "holds a space, a control or a character beyond ASCII: percent-encode the path, and "
            "write a host of other letters in its form that begins with xn--"
        )
    if _UNSAFE.search(url):
        raise InvalidDestination("holds a character that no URL has: percent-encode it")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidDestination(f"is no URL: {_without_address(error)}") from None
    scheme = parts.scheme.lower()
    if scheme not in ("http", "https") or not url.lower().startswith(f"{scheme}://"):
        raise InvalidDestination("begins with https:// or http://")
    if "@" in parts.netloc:
        raise InvalidDestination("holds a user or a password: send a header instead")
    if "#" in url:
        raise InvalidDestination("has a fragment, which is never sent: remove it")
    return Destination(
        scheme=cast("Literal['http', 'https']", scheme),
        host=_host(parts.netloc),
        port=_port(scheme, parts.netloc, port),
        path=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
    )


def _without_address(error: ValueError) -> str:
    return "its port is no number" if "ort" in str(error) else "its host cannot be read"


def _port(scheme: str, netloc: str, port: int | None) -> int:
    if netloc.endswith(":"):
        raise InvalidDestination("ends its host with a colon, and has no port behind it")
    if port is None:
        return 443 if scheme == "https" else 80
    if port in LOW_PORTS or 1024 <= port <= 65_535:
        return port
    raise InvalidDestination("has a port that is none of 80, 443 and 1024 to 65535")


def _host(netloc: str) -> str:
    """The host as it stands there; not as a parser would mend it."""
    bracketed = _BRACKETS.fullmatch(netloc)
    if bracketed is not None:
        return _bracketed(bracketed[1])
    host = netloc.partition(":")[0].lower()
    labels = host.split(".")
    if len(host) > MAX_HOST_LENGTH or not all(map(_LABEL.fullmatch, labels)):
        raise InvalidDestination("has no host: write a name such as hooks.example.com")
    if _NUMBER.fullmatch(labels[-1]):
        return _dotted(host)
    return host


def _dotted(host: str) -> str:
    """Only the canonical form: 127.1, 0x7f.0.0.1, 0177.0.0.1 and 2130706433 are all the same."""
    try:
        return str(IPv4Address(host))
    except ValueError:
        reason = "has a number for a host: write an IPv4 address as four decimal numbers"
        raise InvalidDestination(reason) from None


def _bracketed(host: str) -> str:
    try:
        address = IPv6Address(host)
    except ValueError:
        raise InvalidDestination("has no IPv6 address in its brackets") from None
    if address.scope_id is not None:
        raise InvalidDestination("names a zone of a link, which only this machine knows")
    return str(address)


class Target(msgspec.Struct, frozen=True):
    """What is kept of where a webhook goes: all of it is a credential."""

    url: str
    headers: dict[str, str]

    def __repr__(self) -> str:
        return "Target()"


MAX_HEADER_VALUE: Final = 2_000
_VALUE = re.compile(r"[\x20-\x7e]*")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OURS = (
    "connection", "content-encoding", "content-length", "content-type", "expect", "host",
    "keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding",
    "upgrade", "user-agent",
)  # fmt: skip


def header_problem(name: str, value: str) -> str | None:
    """Why a header cannot be sent along; None where it can. Never repeats the value."""
    lower = name.lower()
    if not _TOKEN.fullmatch(name):
        return "is not the name of a header"
    if lower in _OURS or lower.startswith("halyard-"):
        return "is a header that is set by the server itself"
    if not _VALUE.fullmatch(value) or value != value.strip():
        return "has a value of printable ASCII on one line, without spaces around it"
    if len(value) > MAX_HEADER_VALUE:
        return f"has a value of at most {MAX_HEADER_VALUE} characters"
    return None
