"""Why nobody comes in by a provider.

OidcError
├── ProviderUnavailable   it does not answer, or not as it must: try again shortly
├── NotRecognised         what came back proves nothing; the log says why, the answer does not
└── NotAdmitted           the person is known to the provider, and has no business here
"""

from __future__ import annotations


class OidcError(Exception):
    """Its text is for the operator's log, or where it says so for whoever logs in."""


class ProviderUnavailable(OidcError):
    """The provider does not answer, or not as it must."""

    def __init__(self, provider: str, why: str) -> None:
        self.provider = provider
        super().__init__(f"identity provider '{provider}' is not available: {why}")


class NotRecognised(OidcError):
    """What came back from the provider proves nothing; begin the login anew."""

    def __init__(self, provider: str, why: str) -> None:
        self.provider = provider
        self.why = why
        """For the log."""
        super().__init__(f"identity provider '{provider}' has not vouched for this: {why}")


class NotAdmitted(OidcError):
    """The provider has vouched for somebody who may not come in; the text may be told to them."""
