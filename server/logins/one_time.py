"""One-time secrets: who has given one stands in it, and has to be allowed to until it is used.

Between the two lie up to seven days, in which the account may have become more, by a role, a group
or what a role grants. Nothing of a secret is stored but the hash of the whole of it, so nobody
changes who gave it.
"""

from __future__ import annotations

import secrets
from typing import Final, Literal, NamedTuple

from domain.system.access import access_of, regions_of_account
from domain.system.state import SystemState

PREFIX: Final = "hlo_"
"""Lets scanners recognise it."""
_TO_GIVE: Final = "account:write"


class Giver(NamedTuple):
    """By what an account was let in that has somebody else choose a password."""

    kind: Literal["account", "token"]
    """A token has its account's rights, cut to its scope; a login has all of them."""
    id: str


def new_secret(giver: Giver | None) -> str:
    """One that nobody has seen; ``giver`` is None for an operator on the server."""
    secret = PREFIX + secrets.token_hex(32)
    return secret if giver is None else f"{secret}:{giver.kind}:{giver.id}"


def is_stood_by(secret: str, state: SystemState, account_id: str) -> bool:
    """Whether who gave a secret that is known could give one for the account as it is now.

    Neither who was disabled in the meantime could, nor by a token that was revoked.
    """
    _, *giver = secret.split(":")
    match giver:
        case []:
            return True
        case ["account", giver_id]:
            access = access_of(state, giver_id)
        case ["token", token_id]:
            token = state.tokens.get(token_id)
            if token is None or token.revoked_at is not None:
                return False
            access = access_of(state, token.account_id, token.scope)
        case _:
            return False
    within = access.lacks(regions_of_account(state, account_id)) is None
    return within and access.allows(_TO_GIVE)
