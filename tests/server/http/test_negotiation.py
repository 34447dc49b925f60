"""Conditional requests and content codings, as RFC 9110 has them."""

from __future__ import annotations

import pytest

from server.http.negotiation import accepts_gzip, has_already


@pytest.mark.parametrize(
    ("header", "known"),
    [
        ('"7.1-10"', True),
        ('W/"7.1-10"', True),
        ('"7.1-10-gzip"', True),
        ('"a", W/"b" ,"7.1-10"', True),
        ('"a,b","7.1-10"', True),
        ("*", True),
        ('"7.1-11"', False),
        ("7.1-10", False),
        ('"x7.1-10"', False),
        ("", False),
        (None, False),
    ],
)
def test_what_a_client_has(header: str | None, known: bool) -> None:
    assert has_already(header, "7.1-10", "7.1-10-gzip") is known


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gzip", True),
        ("gzip, deflate, br", True),
        ("br;q=1.0, GZIP;q=0.8", True),
        ("x-gzip", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000, *", False),
        ("*;q=0", False),
        ("identity, *;q=0.5", True),
        ("br", False),
        ("", False),
        (None, False),
    ],
)
def test_which_encoding_it_reads(header: str | None, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted
