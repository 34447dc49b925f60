"""Logging in by identity providers: OpenID Connect, the authorization code flow with PKCE.

For: from an operator's list of providers to "the provider says that this is its person so-and-so".
What that person may do here is decided elsewhere. It must never believe what a browser carries:
only what a provider's own token endpoint answered, signed by the provider's keys.

Rooms:
    providers  the operator's file: which providers there are, and how far each is trusted
    relying    one provider: where it is, its keys, sending people there, taking them back
    linking    which account is somebody's, who comes from a provider
    entering   from such a person to an account, linked and with the roles of its groups
    desk       the providers together with what is kept
    errors     why somebody does not come in

Invariants:
    Identities are pairs of an issuer and its subject; nothing else finds an account for good.
    An address that the provider has not verified finds nothing.
    A state, a nonce and a verifier are used once, by the browser that they were drawn for.
"""
