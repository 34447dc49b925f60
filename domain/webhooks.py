"""What a webhook is told, and in which form: the words that its events and commands share.

Neither an address nor a secret is among them. Both are credentials to whoever reads them (who
knows the address of a Slack channel may write to it), and an event is for ever: events name rows
of an ordinary table, by ids that say nothing.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from domain.facts import EntityKind

Disabling: TypeAlias = Literal["asked", "gone", "dead"]
"""Why: somebody asked for it, the receiver answered 410, or it failed for too long."""


class WebhookFilter(
    msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """Which events are wanted. Of each field one must fit; an empty one fits all."""

    types: tuple[str, ...] = ()
    """Such as ``FlagEnabled``."""
    kinds: tuple[EntityKind, ...] = ()
    """Of what the event happened to."""
    environments: tuple[str, ...] = ()
    """What is not of one environment concerns them all, and passes."""
    flags: tuple[str, ...] = ()
    """Where some are named, events of anything but a flag are not wanted."""

    def wants(self, type_name: str, kind: str, key: str, environment: str | None) -> bool:
        """Whether an event of this type, which happened to this entity, is wanted."""
        return (
            _fits(self.types, type_name)
            and _fits(self.kinds, kind)
            and (environment is None or _fits(self.environments, environment))
            and (not self.flags or (kind == "flag" and key in self.flags))
        )


def _fits(wanted: tuple[str, ...], value: str) -> bool:
    return not wanted or value in wanted


class JsonTemplate(
    msgspec.Struct, frozen=True, tag="json", tag_field="format", forbid_unknown_fields=True
):
    """The events themselves, as JSON."""


class SlackTemplate(
    msgspec.Struct, frozen=True, tag="slack", tag_field="format", forbid_unknown_fields=True
):
    """A message of Slack's, ready made."""


class TextTemplate(
    msgspec.Struct, frozen=True, tag="text", tag_field="format", forbid_unknown_fields=True
):
    """A line of plain text for each event, with placeholders such as ``{{flag}}``."""

    text: str


class BlocksTemplate(
    msgspec.Struct,
    frozen=True,
    tag="blocks",
    tag_field="format",
    rename="camel",
    omit_defaults=True,
    forbid_unknown_fields=True,
):
    """JSON of one's own, with placeholders in its texts; once for each delivery."""

    body: dict[str, Any]
    slack_escapes: bool = True
    """Whether what is filled in is escaped as Slack asks, so that it can mention nobody."""


Template: TypeAlias = JsonTemplate | SlackTemplate | TextTemplate | BlocksTemplate
AS_JSON = JsonTemplate()
