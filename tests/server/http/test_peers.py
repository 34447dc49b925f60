"""Whose address it is: the peer's, or the one that a trusted proxy names."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from server.http.peers import address_of

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("::1"))


def scope(peer: str | None, *forwarded: str) -> dict[str, Any]:
    headers = [(b"x-forwarded-for", each.encode()) for each in forwarded]
    return {"client": None if peer is None else (peer, 4711), "headers": headers}


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", (), "192.0.2.1"),
        ("192.0.2.1", ("198.51.100.7",), "192.0.2.1"),  # not a proxy of ours
        ("10.0.0.1", (), "10.0.0.1"),
        ("10.0.0.1", ("198.51.100.7",), "198.51.100.7"),
        ("::1", ("2001:DB8::1",), "2001:db8::1"),
        ("10.0.0.1", ("203.0.113.9, 198.51.100.7",), "198.51.100.7"),  # the first is made up
        ("10.0.0.1", ("203.0.113.9, 198.51.100.7, 10.1.1.1",), "198.51.100.7"),
        ("10.0.0.1", ("198.51.100.7", "10.1.1.1"), "198.51.100.7"),  # a header for each hop
        ("10.0.0.1", ("10.2.2.2, 10.1.1.1",), "10.2.2.2"),
        ("10.0.0.1", ("<script>, 10.1.1.1",), "10.1.1.1"),
        ("10.0.0.1", ("<script>",), "10.0.0.1"),
        ("10.0.0.1", ("::ffff:198.51.100.7",), "198.51.100.7"),
        ("::ffff:10.0.0.1", ("198.51.100.7",), "198.51.100.7"),
        (None, ("198.51.100.7",), ""),
    ],
)
def test_the_last_address_that_no_trusted_proxy_has_is_the_caller_s(
    peer: str | None, forwarded: tuple[str, ...], address: str
) -> None:
    assert address_of(scope(peer, *forwarded), TRUSTED) == address


def test_where_no_proxy_is_trusted_nobody_s_word_is_taken() -> None:
    assert address_of(scope("10.0.0.1", "198.51.100.7"), ()) == "10.0.0.1"
