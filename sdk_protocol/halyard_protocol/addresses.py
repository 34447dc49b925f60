"""IP addresses and CIDR ranges, v4 and v6, without any lookup of names.

An IPv4 address written inside IPv6 (``::ffff:10.0.0.1``, as sockets that listen on both report
it) is the IPv4 address. Bits of a range to the right of its prefix do not count. An address alone
is a range of one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

_PREFIX = re.compile(r"0|[1-9][0-9]{0,2}")
_MAPPED_BITS = 96
_MAX_ADDRESS_LENGTH = len("0000:0000:0000:0000:0000:ffff:255.255.255.255")
_MAX_RANGE_LENGTH = _MAX_ADDRESS_LENGTH + len("/128")


class Range(NamedTuple):
    """All addresses of one ``version`` (4 or 6) that equal ``start`` once shifted right."""

    version: int
    shift: int
    start: int


def read_range(text: str) -> Range | None:
    """Read ``10.0.0.0/8`` or ``2001:db8::/32``; None where the text is not a range."""
    return _read_range(text) if len(text) <= _MAX_RANGE_LENGTH else None


@lru_cache(maxsize=4096)
def _read_range(text: str) -> Range | None:
    address_text, slash, prefix_text = text.partition("/")
    address = _read_address(address_text)
    if address is None or (slash and not _PREFIX.fullmatch(prefix_text)):
        return None
    prefix = int(prefix_text) if slash else address.max_prefixlen
    if prefix > address.max_prefixlen:
        return None
    return _range(address, prefix)


def _range(address: IPv4Address | IPv6Address, prefix: int) -> Range:
    mapped = _mapped(address)
    if mapped is not address and prefix >= _MAPPED_BITS:
        address, prefix = mapped, prefix - _MAPPED_BITS
    shift = address.max_prefixlen - prefix
    return Range(address.version, shift, int(address) >> shift)


def is_in_range(address_text: str, within: Range) -> bool:
    """Tell whether the text is an address of the range; False where it is no address."""
    address = _read_address(address_text)
    if address is None:
        return False
    address = _mapped(address)
    return address.version == within.version and int(address) >> within.shift == within.start


def _read_address(text: str) -> IPv4Address | IPv6Address | None:
    if len(text) > _MAX_ADDRESS_LENGTH:  # the library would split all of it to find that out
        return None
    if "%" in text:  # a zone of one machine says nothing elsewhere
        return None
    try:
        return ip_address(text)
    except ValueError:
        return None


def _mapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
