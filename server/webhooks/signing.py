"""What proves to a receiver who sent a delivery, and when.

``Halyard-Signature: t=<unix time>,v1=<hex>``, the HMAC-SHA256 of ``"<t>.<body>"`` under the
webhook's secret; while a secret is being replaced, one ``v1`` for each. As Stripe does it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable

SECRET_PREFIX = "whsec_"  # noqa: S105 - a prefix lets scanners recognise leaked secrets


def new_secret() -> str:
    """Something to sign with, to be shown once."""
    return SECRET_PREFIX + secrets.token_hex(32)


def signature(secrets_: Iterable[str], at_s: int, body: bytes) -> str:
    """The header's value; the newest secret first."""
    return ",".join([f"t={at_s}", *(f"v1={_digest(each, at_s, body)}" for each in secrets_)])


def _digest(secret: str, at_s: int, body: bytes) -> str:
    return hmac.new(secret.encode(), b"%d." % at_s + body, hashlib.sha256).hexdigest()
