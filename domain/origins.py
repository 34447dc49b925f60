"""Whose pages may use a client key: origins as browsers send them, or with a wildcard in front.

An origin is ``scheme://host`` or ``scheme://host:port`` and nothing more (RFC 6454, section 6.2;
HTML, "Origin"). It is kept in the one form in which browsers write it, so that who compares need
not know of any other: in lower case, and without the port that the scheme implies. A wildcard
stands for exactly one label, as in certificates: ``https://*.shop.example`` is for
``https://www.shop.example``, not for ``https://shop.example`` or ``https://a.b.shop.example``.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from halyard_protocol.problems import (
    Problem,
    Problems,
    count_problems,
    repeat_problems,
    text_problems,
)

from domain import limits

WILDCARD = "*."
"""What a host begins with whose first label may be any."""

_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[^\]/]*\]|[^:/?#@\[\]]*)(?::([0-9]{1,5}))?")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_HOST_LENGTH = 253
_LAST_PORT = 65_535
_IMPLIED_PORTS = {"http": 80, "https": 443}
_LOCAL = "localhost"

_FORM = "write it as browsers send it: https://shop.example, http://localhost:3000"


def normal_origin(origin: str) -> str:
    """An origin in the form in which it is kept; as it is, where it is none."""
    found = _ORIGIN.fullmatch(origin.lower())
    if found is None:
        return origin
    scheme, host, port = found.groups()
    if host.startswith("["):
        try:
            host = f"[{IPv6Address(host[1:-1]).compressed}]"
        except AddressValueError:
            return origin
    if port is None or int(port) == _IMPLIED_PORTS.get(scheme):
        return f"{scheme}://{host}"
    return f"{scheme}://{host}:{int(port)}"


def normal_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    """Several, in their order."""
    return tuple(normal_origin(origin) for origin in origins)


def origins_problems(path: str, origins: tuple[str, ...]) -> Problems:
    """What is wrong with the origins of a client key."""
    yield from count_problems(path, origins, limits.ORIGINS, "origins")
    yield from repeat_problems(path, normal_origins(origins), "origin")
    for index, origin in enumerate(origins):
        problem = _problem(origin)
        if problem is not None:
            yield Problem(f"{path}/{index}", problem)
        yield from text_problems(f"{path}/{index}", origin, limits.ORIGIN_LENGTH)


def _problem(origin: str) -> str | None:
    if origin == "*":
        return "leave the list empty for pages of any origin"
    if origin == "null":
        return "'null' is of any page that hides its origin: serve the page from an address"
    found = _ORIGIN.fullmatch(origin.lower())
    if found is None:
        return f"'{origin}' is no origin: {_FORM}, without a path"
    scheme, host, port = found.groups()
    if port is not None and not 0 < int(port) <= _LAST_PORT:
        return f"port {port} is not between 1 and {_LAST_PORT}"
    if host.startswith("["):
        return None if _is_address(host) else f"'{host}' is no IPv6 address"
    return _host_problem(scheme, host)


def _is_address(host: str) -> bool:
    try:
        IPv6Address(host[1:-1])
    except AddressValueError:
        return False
    return "%" not in host


def _host_problem(scheme: str, host: str) -> str | None:
    if not host.isascii():
        return f"'{host}' is not ASCII: {_FORM}, such a host in its form with 'xn--'"
    name = host.removeprefix(WILDCARD)
    labels = name.split(".")
    if "*" in name:
        return "a wildcard stands for the whole first label alone: https://*.shop.example"
    if len(name) > _HOST_LENGTH or not all(_LABEL.fullmatch(label) for label in labels):
        return f"'{host}' is no host: {_FORM}"
    if host.startswith(WILDCARD):
        return _wildcard_problem(scheme, labels)
    return None if not labels[-1].isdigit() or _is_ipv4(host) else f"'{host}' is no IPv4 address"


def _is_ipv4(host: str) -> bool:
    try:
        IPv4Address(host)
    except AddressValueError:
        return False
    return True


def _wildcard_problem(scheme: str, labels: list[str]) -> str | None:
    if scheme not in _IMPLIED_PORTS:
        return f"a wildcard is for http and https: name each origin of {scheme}"
    if labels[-1].isdigit():
        return "an address has no labels that a wildcard could stand for"
    if len(labels) < 2 and labels[0] != _LOCAL:
        return f"'*.{labels[0]}' would be for everybody's pages: name a domain of your own"
    return None
