from __future__ import annotations

import pytest

from domain import limits
from domain.origins import normal_origin, normal_origins, origins_problems


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://shop.example", "https://shop.example"),
        ("HTTPS://Shop.EXAMPLE", "https://shop.example"),
        ("https://shop.example:443", "https://shop.example"),
        ("http://shop.example:80", "http://shop.example"),
        ("http://shop.example:443", "http://shop.example:443"),
        ("https://shop.example:08443", "https://shop.example:8443"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://127.0.0.1:5173", "http://127.0.0.1:5173"),
        ("http://[0:0:0:0:0:0:0:1]:80", "http://[::1]"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("https://my_shop.example", "https://my_shop.example"),
        ("https://*.shop.example", "https://*.shop.example"),
        ("http://*.localhost:3000", "http://*.localhost:3000"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"),
    ],
)
def test_an_origin_is_kept_as_browsers_write_it(given: str, kept: str) -> None:
    assert list(origins_problems("/origins", (given,))) == []
    assert normal_origin(given) == kept
    assert normal_origin(kept) == kept


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("", "is no origin"),
        ("shop.example", "is no origin"),
        ("https://", "is no host"),
        ("https://shop.example/", "without a path"),
        ("https://shop.example/cart", "without a path"),
        ("https://shop.example?a", "is no origin"),
        ("https://ann@shop.example", "is no origin"),
        ("https://shop.example:", "is no origin"),
        ("https://shop.example:0", "port 0"),
        ("https://shop.example:70000", "port 70000"),
        ("https://shop..example", "is no host"),
        ("https://shop.example.", "is no host"),
        ("https://-shop.example", "is no host"),
        ("https://shop example", "is no host"),
        (" https://shop.example", "is no origin"),
        ("https://shop.example\n", "is no host"),
        ("https://b\u00fccher.example", "xn--"),
        ("https://[::1", "is no origin"),
        ("https://[::g]", "no IPv6"),
        ("https://[fe80::1%eth0]", "no IPv6"),
        ("https://1.2.3", "no IPv4"),
        ("https://1.2.3.999", "no IPv4"),
        ("*", "empty"),
        ("null", "null"),
        ("https://*", "whole first label"),
        ("https://*.*.shop.example", "whole first label"),
        ("https://pr-*.shop.example", "whole first label"),
        ("https://www.*.shop.example", "whole first label"),
        ("https://*.com", "everybody's"),
        ("https://*.0.0.1", "address"),
        ("capacitor://*.shop.example", "http and https"),
        ("https://" + "a" * 64 + ".example", "is no host"),
        ("https://" + "a." * 130 + "example", "is no host"),
    ],
)
def test_what_is_no_origin_is_refused_with_the_reason(given: str, words: str) -> None:
    [problem] = origins_problems("/origins", ("https://good.example", given))
    assert problem.path == "/origins/1"
    assert words in problem.reason


def test_an_origin_is_named_once_however_it_is_written() -> None:
    [problem] = origins_problems("/origins", ("https://a.example", "https://A.example:443"))
    assert "https://a.example" in problem.reason


def test_there_are_only_so_many() -> None:
    many = tuple(f"https://{n}.a.example" for n in range(limits.ORIGINS + 1))
    assert list(origins_problems("/origins", many[:-1])) == []
    [problem] = origins_problems("/origins", many)
    assert problem.path == "/origins"


def test_their_order_is_kept() -> None:
    given = ("https://b.example", "https://a.example")
    assert normal_origins(given) == given
