from __future__ import annotations

import hashlib
import hmac

from server.webhooks.signing import new_secret, signature


def test_the_time_and_the_body_are_signed() -> None:
    digest = hmac.new(b"whsec_1", b"1767225600.{}", hashlib.sha256).hexdigest()
    assert signature(["whsec_1"], 1767225600, b"{}") == f"t=1767225600,v1={digest}"


def test_each_secret_signs_for_itself() -> None:
    both = signature(["new", "old"], 5, b"x").split(",")
    assert both == ["t=5", *(signature([each], 5, b"x").split(",")[1] for each in ("new", "old"))]


def test_a_secret_is_new_each_time() -> None:
    assert new_secret() != new_secret()
    assert new_secret().startswith("whsec_")
