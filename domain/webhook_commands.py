"""The commands on webhooks. ``target`` and ``secret`` name rows of a table beside the log."""

from __future__ import annotations

from typing import TypeAlias

from domain.asked import OnWebhook
from domain.webhooks import AS_JSON, Disabling, Template, WebhookFilter


class CreateWebhook(OnWebhook, frozen=True):
    """Tell an address of what happens from now on."""

    name: str
    address: str
    target: str
    secret: str
    description: str = ""
    headers: tuple[str, ...] = ()
    filter: WebhookFilter = WebhookFilter()
    template: Template = AS_JSON
    enabled: bool = True


class DescribeWebhook(OnWebhook, frozen=True):
    """Give the webhook another name or description; what is left out stays."""

    name: str | None = None
    description: str | None = None


class ChangeWebhookTarget(OnWebhook, frozen=True):
    """Have it go to another address, or with other headers."""

    address: str
    target: str
    headers: tuple[str, ...] = ()


class ChangeWebhookFilter(OnWebhook, frozen=True):
    """Say which events are wanted."""

    filter: WebhookFilter


class ChangeWebhookTemplate(OnWebhook, frozen=True):
    """Say which form deliveries have."""

    template: Template


class RotateWebhookSecret(OnWebhook, frozen=True):
    """Sign with another secret, and for a while with the former one as well."""

    secret: str
    overlap_s: int = 86_400


class EnableWebhook(OnWebhook, frozen=True):
    """Go on with the next event."""


class DisableWebhook(OnWebhook, frozen=True):
    """Deliver nothing any more."""

    reason: Disabling = "asked"


class ReplayWebhook(OnWebhook, frozen=True):
    """Go on from the event of this seq; what was delivered already is delivered again."""

    from_seq: int


class DeleteWebhook(OnWebhook, frozen=True):
    """End the webhook."""


WebhookCommand: TypeAlias = (
    CreateWebhook
    | DescribeWebhook
    | ChangeWebhookTarget
    | ChangeWebhookFilter
    | ChangeWebhookTemplate
    | RotateWebhookSecret
    | EnableWebhook
    | DisableWebhook
    | ReplayWebhook
    | DeleteWebhook
)
