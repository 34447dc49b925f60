"""The events of change requests. None of them ever alters a ruleset.

Who did it stands in the payload too: a fold does not see the envelope, and whose approval it is
decides whether a request may be applied.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeAlias

import msgspec

from domain.facts import EntityKind
from domain.stored import Stored


class Base(
    msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """An entity that a request changes, with the revision that it had when it was written."""

    kind: EntityKind
    key: str
    environment: str | None = None
    revision: int = 0


class ChangeRequestOpened(Stored, frozen=True):
    """Somebody asks for commands to be carried out once they are approved."""

    critical: ClassVar[bool] = False

    account: str
    title: str
    commands: tuple[dict[str, Any], ...]
    """As JSON, complete, in the order in which they are to be done."""
    base: tuple[Base, ...]
    description: str = ""


class ChangeRequestEdited(Stored, frozen=True):
    """The request is now this; it has no approvals, and its base is the present."""

    critical: ClassVar[bool] = False

    account: str
    title: str
    commands: tuple[dict[str, Any], ...]
    base: tuple[Base, ...]
    description: str = ""


class ChangeRequestApproved(Stored, frozen=True):
    """One account more approves of the request as it is."""

    critical: ClassVar[bool] = False

    account: str


class ChangeRequestRejected(Stored, frozen=True):
    """An account asks for another version; approvals are gone."""

    critical: ClassVar[bool] = False

    account: str


class ChangeRequestWithdrawn(Stored, frozen=True):
    """Nothing will come of the request."""

    critical: ClassVar[bool] = False


class ChangeRequestApplied(Stored, frozen=True):
    """The commands were carried out, in the same delta."""

    critical: ClassVar[bool] = False


ChangeRequestEvent: TypeAlias = (
    ChangeRequestOpened
    | ChangeRequestEdited
    | ChangeRequestApproved
    | ChangeRequestRejected
    | ChangeRequestWithdrawn
    | ChangeRequestApplied
)
