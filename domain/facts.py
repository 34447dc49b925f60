"""An event with its place: which entity it concerns, and which revision it makes of it."""

from __future__ import annotations

from datetime import datetime
from typing import Generic, Literal, TypeAlias, TypeVar

import msgspec

EntityKind: TypeAlias = Literal[
    "project",
    "environment",
    "flag",
    "segment",
    "key",
    "change-request",
    "webhook",
    "account",
    "group",
    "role",
    "token",
    "settings",
]

EventT_co = TypeVar("EventT_co", covariant=True)


# gc=False here and on marks: a rebuild makes millions of them, and values never form a cycle.
class Entity(msgspec.Struct, frozen=True, gc=False):
    """A unit of concurrency: what has a revision of its own.

    A ``flag`` with an environment is the flag as it is set there (``flag@environment``); without
    one it is the flag's definition. SDK keys and environments always name their environment.
    """

    kind: EntityKind
    key: str
    environment: str | None = None

    def __str__(self) -> str:
        if self.environment is None or self.kind == "environment":
            return f"{self.kind} '{self.key}'"
        return f"{self.kind} '{self.key}' in environment '{self.environment}'"


def environment_entity(environment: str) -> Entity:
    """The entity of an environment itself."""
    return Entity("environment", environment, environment)


class Fact(msgspec.Struct, Generic[EventT_co], frozen=True, gc=False):
    """Something that happened to ``entity``, and made ``revision`` of it (1, 2, 3 and so on)."""

    event: EventT_co
    entity: Entity
    revision: int


class Issuer(msgspec.Struct, frozen=True):
    """Who asks, and when: ``now`` is aware of its time zone."""

    actor_id: str
    now: datetime
    cause: str = ""
    """What is carried out, such as a change request; empty for itself."""
