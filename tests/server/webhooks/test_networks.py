from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.webhooks.networks import NetworkRefused, Networks, is_public

NOT_PUBLIC = [
    "0.0.0.0", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254",
    "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1",
    "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1",
    "240.0.0.1", "255.255.255.255", "168.63.129.16",
    "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1", "2001:10::1",
    "2001:db8::1", "2002:7f00:1::1", "2002:a00:1::", "3fff::1", "5f00::1", "fc00::1", "fd00::1",
    "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1",
]  # fmt: skip
PUBLIC = [
    "1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1",
    "169.253.1.1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2606:4700:4700::1111", "2a00:1450::1",
]  # fmt: skip


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_what_is_set_apart_is_refused(text: str) -> None:
    with pytest.raises(NetworkRefused):
        Networks((), ()).check(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_what_is_public_is_reached(text: str) -> None:
    Networks((), ()).check(ip_address(text))


@given(st.ip_addresses(v=4))
def test_what_the_standard_library_knows_to_be_private_is_not_public(address: IPv4Address) -> None:
    if not address.is_global or address.is_multicast:
        assert not is_public(address)
    assert is_public(IPv6Address(f"::ffff:{address}")) == is_public(address)


@given(st.ip_addresses(v=6))
def test_the_same_of_six(address: IPv6Address) -> None:
    if address.is_private or address.is_multicast or address.is_reserved:
        assert not is_public(address) or address.ipv4_mapped or address in NAT64


NAT64 = IPv6Network("64:ff9b::/96")


def test_a_network_is_open_only_where_both_allow_it() -> None:
    address = ip_address("10.1.2.3")
    Networks(("10.0.0.0/8",), ("10.1.0.0/16",)).check(address)
    Networks(("10.0.0.0/8",), ("10.1.0.0/16",)).check(ip_address("::ffff:10.1.2.3"))
    for allowed, bound in [
        (("10.0.0.0/8",), ()),
        ((), ("10.0.0.0/8",)),
        (("10.2.0.0/16",), ("10.0.0.0/8",)),
        (("10.0.0.0/8",), ("fc00::/7",)),
        (("not a network",), ("10.0.0.0/8",)),
    ]:
        with pytest.raises(NetworkRefused):
            Networks(allowed, bound).check(address)


def test_what_is_allowed_opens_nothing_else() -> None:
    networks = Networks(("127.0.0.0/8",), ("127.0.0.0/8",))
    networks.check(ip_address("127.0.0.1"))
    with pytest.raises(NetworkRefused):
        networks.check(ip_address("169.254.169.254"))
