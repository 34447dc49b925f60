from __future__ import annotations

import hashlib
import json

import pytest
from halyard_protocol.session.documents import Document, read_document
from websockets.datastructures import Headers
from websockets.http11 import Request

from streaming.handshake import presented_key
from streaming.keys import (
    SdkKey,
    allowed_origins,
    listening_key,
    origin_allowed,
    read_key,
    read_listening_key,
)


def test_a_server_key_is_looked_up_by_its_digest() -> None:
    key = "abcdef012345-s-SeCreT_-1"
    digest = hashlib.sha256(key.encode()).hexdigest()
    assert read_key(key) == SdkKey("abcdef012345", "server", f"key:{digest}")


def test_a_client_key_is_looked_up_by_itself() -> None:
    key = "abcdef012345-c-public"
    assert read_key(key) == SdkKey("abcdef012345", "client", f"key:{key}")


@pytest.mark.parametrize(
    "presented",
    [
        "",
        "secret",
        "short-s-secret",
        "abcdef012345-x-secret",
        "abcdef012345-s-",
        "ABCDEF012345-s-secret",
        "abcdef01234{-s-secret",
        "abcdef012345-s-sec ret",
        "abcdef012345-s-secr\u00e9t",
        "abcdef012345-s-secret\n",
        "abcdef012345-s-" + "x" * 500,
    ],
)
def test_what_has_another_form_is_no_key(presented: str) -> None:
    assert read_key(presented) is None


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_before_a_key_is_read_in_any_case(scheme: str) -> None:
    key = "abcdef012345-s-secret"
    headers = Headers({"Authorization": f"{scheme} {key}"})
    assert presented_key(Request("/stream/v1", headers)) == key


def test_a_client_key_is_its_own_listening_key() -> None:
    key = SdkKey("abcdef012345", "client", "key:abcdef012345-c-public")
    assert listening_key(key) == "abcdef012345-c-public"
    assert read_listening_key("abcdef012345-c-public") == key


def test_the_listening_key_of_a_server_key_is_not_the_key_and_opens_nothing_else() -> None:
    secret = "abcdef012345-s-SeCreT_-1"
    key = read_key(secret)
    assert key is not None
    listening = listening_key(key)
    assert "SeCreT" not in listening
    assert read_listening_key(listening) == key
    assert read_key(listening) is None


@pytest.mark.parametrize(
    "presented", ["", "abcdef012345-s-secret", "abcdef012345-e-short", "abcdef012345-e-" + "g" * 64]
)
def test_what_has_another_form_is_no_listening_key(presented: str) -> None:
    assert read_listening_key(presented) is None


def key_with(*origins: str, name: str = "web") -> Document:
    content = {"id": "k", "kind": "client", "name": name, "version": 3}
    named = {"origins": origins} if origins else {}
    return read_document("key:c", json.dumps({**content, **named}).encode())


def test_what_is_no_page_has_no_origin_and_is_let_in() -> None:
    assert origin_allowed(key_with("https://shop.example"), None)


@pytest.mark.parametrize("origin", ["https://shop.example", "null", "", "what ever"])
def test_a_key_without_origins_is_for_pages_of_any(origin: str) -> None:
    assert origin_allowed(key_with(), origin)
    assert origin_allowed(key_with(name='"origins"'), origin)


SHOPS = (
    "https://shop.example",
    "http://localhost:3000",
    "https://*.shop.example",
    "https://*.apps.example:8443",
    "capacitor://localhost",
)


@pytest.mark.parametrize(
    "origin",
    [
        "https://shop.example",
        "http://localhost:3000",
        "https://www.shop.example",
        "https://pr-12_a.shop.example",
        "https://a.apps.example:8443",
        "capacitor://localhost",
        "Capacitor://LocalHost",
    ],
)
def test_a_page_of_an_allowed_origin_is_let_in(origin: str) -> None:
    assert origin_allowed(key_with(*SHOPS), origin)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "*",
        "http://shop.example",
        "https://shop.example:8443",
        "https://shop.example.evil.test",
        "https://evilshop.example",
        "https://a.b.shop.example",
        "https://.shop.example",
        "https://*.shop.example",
        "https://shop.example, https://evil.test",
        "https://evil.test/.shop.example",
        "https://evil.test#.shop.example",
        "https://user@www.shop.example",
        "http://www.shop.example",
        "https://www.shop.example:8443",
        "https://a.apps.example",
        "https://localhost:3000",
        "http://localhost:30001",
    ],
)
def test_a_page_of_any_other_origin_is_not(origin: str) -> None:
    assert not origin_allowed(key_with(*SHOPS), origin)


def test_the_origins_of_a_key_can_be_told() -> None:
    assert allowed_origins(key_with(*SHOPS)) == SHOPS
    assert allowed_origins(key_with(name='"origins"')) == ()
