"""Which addresses a webhook may reach: the public ones, and those networks that were allowed.

Everything that IANA sets apart is refused, and everything that carries another address within it
(IPv4-mapped, NAT64, 6to4, Teredo) is judged by the inner one, or refused. An allowed network is
one that the installation's setting names and that lies within the operator's own bound: who may
change settings over HTTP is not always who answers for the machine.

Source: the IANA IPv4 and IPv6 Special-Purpose Address Registries, and RFC 6890.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_SPECIAL_V4: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
            "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24",
            "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15",
            "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
            # Azure's host agent: an address that looks public, and is not.
            "168.63.129.16/32",
        ),
    )
)  # fmt: skip
_GLOBAL_V6: Final = IPv6Network("2000::/3")
_SPECIAL_V6: Final = tuple(
    map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "2620:4f:8000::/48"))
)  # fmt: skip
_NAT64: Final = IPv6Network("64:ff9b::/96")


class NetworkRefused(Exception):
    """``address`` is what a webhook must not connect to."""

    def __init__(self, address: Address) -> None:
        self.address = address
        super().__init__(
            f"{address} is not a public address: an administrator may allow its network in the "
            "setting for webhooks, within what the operator allows"
        )


def is_public(address: Address) -> bool:
    """Whether it is of the internet at large."""
    if isinstance(address, IPv6Address):
        inner = _inner(address)
        if inner is not None:
            return is_public(inner)
        return address in _GLOBAL_V6 and not any(address in each for each in _SPECIAL_V6)
    return not any(address in each for each in _SPECIAL_V4)


def _inner(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that packets to this one arrive at, where there is a single one."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


class Networks:
    """What is allowed beside the public addresses.

    Args:
        allowed: as the installation's setting names them, in CIDR; what cannot be read is none.
        bound: as the operator does.
    """

    def __init__(self, allowed: Iterable[str], bound: Iterable[str]) -> None:
        self._allowed = tuple(read_networks(allowed))
        self._bound = tuple(read_networks(bound))

    def check(self, address: Address) -> None:
        """Raises :class:`NetworkRefused`."""
        plain = _inner(address) or address if isinstance(address, IPv6Address) else address
        if is_public(plain):
            return
        if not (_within(plain, self._allowed) and _within(plain, self._bound)):
            raise NetworkRefused(address)


def _within(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address.version == each.version and address in each for each in networks)


def read_networks(texts: Iterable[str]) -> Iterable[Network]:
    """Networks in CIDR; what is none is left out."""
    for text in texts:
        try:
            yield ip_network(text.strip(), strict=False)
        except ValueError:
            continue


def read_address(text: str) -> Address:
    """An address as a resolver gives it; a zone is dropped, for it may not matter."""
    return ip_address(text.partition("%")[0])
