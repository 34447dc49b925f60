"""By what a caller has shown who it is: an account is one thing, how it came in another."""

from __future__ import annotations

from typing import Literal

import msgspec

from domain.system.vocabulary import Grant


class Credential(msgspec.Struct, frozen=True):
    """What a request was let in with; never the secret itself."""

    kind: Literal["token", "session"]
    """An API token, or a login: by access token or by cookie."""
    id: str
    """Of the token in ``$system``, or of the login."""
    scope: Grant | None = None
    """What it opens of what the account may; None for all of it."""
    provider: str = ""
    """Of a login: empty for one by password, else the identity provider's key."""
