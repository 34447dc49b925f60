from __future__ import annotations

import hashlib

import pytest

from streaming.keys import SdkKey, listening_key, read_key, read_listening_key


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
