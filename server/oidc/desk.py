"""The providers of an installation together with what is kept of who comes from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import asyncpg

from eventstore.identities import Identities
from eventstore.login_flows import LoginFlows
from server.oidc.providers import Provider
from server.oidc.relying import RelyingParty


@dataclass(frozen=True, slots=True)
class OidcDesk:
    """Where people come in by identity providers."""

    parties: Mapping[str, RelyingParty]
    """By the provider's key, in the order in which they are shown."""
    identities: Identities
    flows: LoginFlows


def oidc_desk(pool: asyncpg.Pool, providers: Iterable[Provider]) -> OidcDesk:
    """Put it together."""
    parties = {provider.key: RelyingParty(provider) for provider in providers}
    return OidcDesk(parties, Identities(pool), LoginFlows(pool))
