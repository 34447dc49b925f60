from __future__ import annotations

import pytest
from halyard_sdk.address import Address

KEY = "abcdefghijkl-s-secret"


@pytest.mark.parametrize(
    ("url", "stream"),
    [
        ("http://localhost:8080", "ws://localhost:8080/stream/v1"),
        ("https://flags.example.org/", "wss://flags.example.org/stream/v1"),
        ("ws://localhost:8080/stream/v1", "ws://localhost:8080/stream/v1"),
        ("wss://example.org/stream/v1/", "wss://example.org/stream/v1"),
        ("https://example.org/tools/flags", "wss://example.org/tools/flags/stream/v1"),
        (" http://[::1]:8080 ", "ws://[::1]:8080/stream/v1"),
    ],
)
def test_an_address_leads_to_the_stream(url: str, stream: str) -> None:
    assert Address.of(url, KEY).url == stream


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8080",
        "ftp://example.org",
        "https://",
        "https://example.org?key=1",
        "https://example.org#top",
        "https://me@example.org",
        "https://example.org:port",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"address|[Pp]ort"):
        Address.of(url, KEY)


@pytest.mark.parametrize("key", ["", "  ", "with space", "with\nnewline", "ключ"])
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="key"):
        Address.of("http://localhost", key)


def test_a_client_key_is_refused_with_the_reason() -> None:
    with pytest.raises(ValueError, match="takes a server key"):
        Address.of("http://localhost", "abcdefghijkl-c-public")


def test_the_identity_is_the_environment_whatever_the_secret() -> None:
    first = Address.of("http://localhost", "abcdefghijkl-s-one")
    second = Address.of("http://localhost", "abcdefghijkl-s-two")
    other = Address.of("http://localhost", "bbcdefghijkl-s-one")
    assert first.identity == second.identity != other.identity


def test_a_key_of_another_form_never_shows_in_the_identity() -> None:
    assert "plain" not in Address.of("http://localhost", "plain").identity


def test_the_key_does_not_show_when_an_address_is_printed() -> None:
    assert "secret" not in repr(Address.of("http://localhost", KEY))
