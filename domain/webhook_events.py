"""The events of webhooks. None of them ever alters a ruleset."""

from __future__ import annotations

from typing import ClassVar, TypeAlias

from domain.stored import Stored
from domain.webhooks import AS_JSON, Disabling, Template, WebhookFilter


class WebhookCreated(Stored, frozen=True):
    """A webhook begins with the next event. The entity's key is its opaque id."""

    critical: ClassVar[bool] = False

    name: str
    address: str
    """Scheme and host of where it goes; the rest may be a secret."""
    target: str
    """Names the row that holds the whole address and the values of the headers."""
    secret: str
    """Names the row that holds what deliveries are signed with."""
    description: str = ""
    headers: tuple[str, ...] = ()
    """The names of headers of its own."""
    filter: WebhookFilter = WebhookFilter()
    template: Template = AS_JSON
    enabled: bool = True


class WebhookDescribed(Stored, frozen=True):
    """The name and the description are now these."""

    critical: ClassVar[bool] = False

    name: str
    description: str = ""


class WebhookTargetChanged(Stored, frozen=True):
    """It goes to another address, or with other headers."""

    critical: ClassVar[bool] = False

    address: str
    target: str
    headers: tuple[str, ...] = ()


class WebhookFilterChanged(Stored, frozen=True):
    """These events are wanted now."""

    critical: ClassVar[bool] = False

    filter: WebhookFilter


class WebhookTemplateChanged(Stored, frozen=True):
    """Deliveries have this form now."""

    critical: ClassVar[bool] = False

    template: Template


class WebhookSecretRotated(Stored, frozen=True):
    """Deliveries are signed with another secret, and for a while with the former one as well."""

    critical: ClassVar[bool] = False

    secret: str
    overlap_s: int


class WebhookEnabled(Stored, frozen=True):
    """It goes on with the next event; what came while it was disabled is passed over."""

    critical: ClassVar[bool] = False


class WebhookDisabled(Stored, frozen=True):
    """Nothing is delivered any more."""

    critical: ClassVar[bool] = False

    reason: Disabling


class WebhookReplayed(Stored, frozen=True):
    """It goes on from an earlier or later event: the next one is that of ``from_seq``."""

    critical: ClassVar[bool] = False

    from_seq: int


class WebhookDeleted(Stored, frozen=True):
    """The webhook ended."""

    critical: ClassVar[bool] = False


WebhookEvent: TypeAlias = (
    WebhookCreated
    | WebhookDescribed
    | WebhookTargetChanged
    | WebhookFilterChanged
    | WebhookTemplateChanged
    | WebhookSecretRotated
    | WebhookEnabled
    | WebhookDisabled
    | WebhookReplayed
    | WebhookDeleted
)
