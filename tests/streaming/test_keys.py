from __future__ import annotations

import hashlib

import pytest

from streaming.keys import SdkKey, read_key


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
