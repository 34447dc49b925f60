from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.webhooks.destinations import InvalidDestination, header_problem, read_destination


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("https://hooks.example.com/a?b=c", "https://hooks.example.com", "/a?b=c"),
        ("HTTPS://Hooks.Example.COM", "https://hooks.example.com", "/"),
        ("http://hooks.example.com:80/a", "http://hooks.example.com", "/a"),
        ("https://hooks.example.com:8443", "https://hooks.example.com:8443", "/"),
        ("http://192.0.2.7/", "http://192.0.2.7", "/"),
        ("http://[2001:DB8:0::1]:8080/x", "http://[2001:db8::1]:8080", "/x"),
        ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example", "/"),
        ("https://a.example?x=1", "https://a.example", "/?x=1"),
    ],
)
def test_an_address_is_taken_apart(url: str, origin: str, path: str) -> None:
    found = read_destination(url)
    assert (found.origin, found.path) == (origin, path)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.com",
        "//hooks.example.com/",
        "ftp://hooks.example.com/",
        "file:///etc/passwd",
        "gopher://hooks.example.com/",
        "javascript:alert(1)",
        "https:hooks.example.com",
        "https:/hooks.example.com",
        "https:///hooks.example.com",
        "https://",
        "https://?x",
        # numbers that some resolvers take for an address
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.0.0.1/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://127.0.0.1./",
        "http://127.0.0.01/",
        "http://1.2.3.4.5/",
        "http://0/",
        "http://example.0x/",
        # names
        "http://hooks.example.com./",
        "http://.example.com/",
        "http://a..example.com/",
        "http://-a.example.com/",
        "http://bücher.example/",
        "http://\uff11\uff12\uff17.0.0.1/",
        "http://127\u30020\u30020\u30021/",
        "http://%31%32%37.0.0.1/",
        "http://a%00.example.com/",
        f"http://{'a.' * 130}example/",
        # users, other hosts in disguise
        "http://user@hooks.example.com/",
        "http://user:pass@hooks.example.com/",
        "http://hooks.example.com@127.0.0.1/",
        "http://hooks.example.com\\@127.0.0.1/",
        "http://hooks.example.com#@127.0.0.1/",
        "http://127.0.0.1\\.example.com/",
        # white space and controls
        " http://hooks.example.com/",
        "http://hooks.example.com/ ",
        "http://hooks.example.com/a b",
        "http://hooks\t.example.com/",
        "http://hooks.example.com/\r\nHost: x",
        "http://hooks.example.com/\x00",
        # IPv6
        "http://[::1/",
        "http://::1/",
        "http://[fe80::1%25eth0]/",
        "http://[fe80::1%eth0]/",
        "http://[::ffff:127.0.0.1]x/",
        "http://[v1.x]/",
        "http://[]/",
        "http://a[::1]/",
        # ports
        "http://hooks.example.com:0/",
        "http://hooks.example.com:22/",
        "http://hooks.example.com:25/",
        "http://hooks.example.com:65536/",
        "http://hooks.example.com:/",
        "http://hooks.example.com:8080x/",
        "http://hooks.example.com:-1/",
        "http://hooks.example.com:\uff18\uff10/",
        "https://hooks.example.com/#part",
        "https://hooks.example.com/" + "a" * 2_000,
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(InvalidDestination) as caught:
        read_destination(url)
    assert "hooks.example.com@" not in str(caught.value)


def test_a_refusal_repeats_nothing_of_the_address() -> None:
    for url in ("https://h.example:x/s3cret", "https://u:s3cret@h.example/", "ftp://h/s3cret"):
        with pytest.raises(InvalidDestination) as caught:
            read_destination(url)
        assert "s3cret" not in str(caught.value)


@given(st.text(max_size=60))
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    for url in (text, f"http://{text}", f"https://a.example{text}"):
        try:
            found = read_destination(url)
        except InvalidDestination:
            continue
        assert read_destination(found.origin + found.path) == found


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Host", "x"),
        ("content-length", "5"),
        ("Transfer-Encoding", "chunked"),
        ("Halyard-Signature", "x"),
        ("X Y", "x"),
        ("", "x"),
        ("X-A\r\nX-B", "x"),
        ("X-A", "x\r\nX-B: y"),
        ("X-A", "x\ny"),
        ("X-A", "é"),
        ("X-A", " x"),
        ("X-A", "x" * 2_001),
    ],
)
def test_a_header_that_would_say_something_else_is_refused(name: str, value: str) -> None:
    assert header_problem(name, value) is not None


def test_a_header_of_ones_own_is_taken() -> None:
    assert header_problem("Authorization", "Bearer abc") is None
