"""Everything that can be asked of a project, in the imperative, and its strict reading.

A command travels as JSON with its class's name as ``type``, in camelCase::

    {"type": "EnableFlag", "flag": "new-checkout", "environment": "production",
     "expectedRevision": 7, "comment": "Launch day"}

Reading is strict: an unknown field, a wrong type and a missing field are each refused with the
field's path. What a command means in its project is checked by :mod:`domain.decide`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, ClassVar, TypeAlias, TypeVar, get_args

import msgspec
from halyard_protocol.ruleset import (
    FlagType,
    Prerequisite,
    Rule,
    SegmentKeys,
    SegmentRule,
    Serve,
    Target,
    Variation,
)
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from domain import limits
from domain.asked import Asked, OnEnvironment, OnFlag, OnKey, OnProject, OnSegment, OnSettings
from domain.change_request_commands import ChangeRequestCommand, OpenChangeRequest
from domain.decoding import decode
from domain.events import MemberList, SdkKeyKind
from domain.facts import Entity
from domain.webhook_commands import CreateWebhook, WebhookCommand

OverlapHours: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=limits.OVERLAP_HOURS)]

# -- the project ---------------------------------------------------------------------------------


class NewEnvironment(msgspec.Struct, frozen=True, rename="camel"):
    """An environment of a new project. ``id`` is filled in where left out."""

    environment: str
    name: str = ""
    protected: bool = False
    attributes: dict[str, Any] = msgspec.field(default_factory=dict)
    id: str = ""


USUAL_ENVIRONMENTS = (
    NewEnvironment("development", "Development"),
    NewEnvironment("staging", "Staging"),
    NewEnvironment("production", "Production", protected=True),
)


class CreateProject(Asked, frozen=True):
    """Begin a project; its environments are the usual three unless told otherwise."""

    project: str
    name: str = ""
    environments: tuple[NewEnvironment, ...] = USUAL_ENVIRONMENTS

    def addressed(self, _project: str) -> Entity:
        """The entity that ``expected_revision`` speaks of."""
        return Entity("project", self.project)


class RenameProject(OnProject, frozen=True):
    """Give the project another name; its key stays."""

    name: str


class DeleteProject(OnProject, frozen=True):
    """End the project with all that is in it."""


class VoidEvent(OnProject, frozen=True):
    """Have readers pass over an event that none can apply."""

    seq: int
    reason: str


# -- environments and their keys -----------------------------------------------------------------


class CreateEnvironment(OnEnvironment, frozen=True):
    """Begin an environment. ``id`` is filled in where left out."""

    name: str = ""
    protected: bool = False
    attributes: dict[str, Any] = msgspec.field(default_factory=dict)
    id: str = ""


class RenameEnvironment(OnEnvironment, frozen=True):
    """Give the environment another name; its key stays."""

    name: str


class SetEnvironmentAttributes(OnEnvironment, frozen=True):
    """Set all attributes of the context kind ``environment``."""

    attributes: dict[str, Any]


class ProtectEnvironment(OnEnvironment, frozen=True):
    """Ask for the right to change protected environments from now on."""


class UnprotectEnvironment(OnEnvironment, frozen=True):
    """Do not ask for the right to change protected environments any more."""


class SetRequiredApprovals(OnEnvironment, frozen=True):
    """Say how many others must approve of a change in the environment; 0 for none."""

    required_approvals: int


class DeleteEnvironment(OnEnvironment, frozen=True):
    """End the environment, with its SDK keys and every flag's settings in it."""


class IssueSdkKey(OnKey, frozen=True):
    """Let SDKs in: a server key by its hash, a client key in clear.

    ``key`` may be left empty, to be filled in. ``origins`` is of client keys: whose pages may use
    it, such as ``https://shop.example`` or ``https://*.shop.example``; empty for anybody's.
    """

    key: str = ""
    kind: SdkKeyKind = "server"
    name: str = ""
    sha256: str | None = None
    client_key: str | None = None
    origins: tuple[str, ...] = ()


class SetSdkKeyOrigins(OnKey, frozen=True):
    """Say whose pages may use a client key; empty for anybody's."""

    origins: tuple[str, ...]


class RotateSdkKey(OnKey, frozen=True):
    """Issue a successor of a live key, and let the key itself live on for a while.

    The successor is of the same kind, has the same origins, and the same name unless another is
    given. ``successor``, its id, may be left empty, to be filled in. With no overlap the key ends
    at once.
    """

    successor: str = ""
    name: str | None = None
    sha256: str | None = None
    client_key: str | None = None
    overlap_hours: OverlapHours = 24


class SetSdkKeyExpiry(OnKey, frozen=True):
    """Say until when a live key opens anything; None for as long as nobody revokes it."""

    expires_at: datetime | None


class RevokeSdkKey(OnKey, frozen=True):
    """Let nobody in with this key any more."""


# -- flags, as defined for the whole project -----------------------------------------------------


class CreateFlag(OnFlag, frozen=True):
    """Begin a flag, disabled everywhere.

    A boolean flag has the variations on and off unless told otherwise. Left out, ``fallthrough``
    is the first variation, ``offVariation`` the last, and the maintainer whoever asks.
    """

    name: str = ""
    flag_type: FlagType = "boolean"
    variations: tuple[Variation, ...] = ()
    off_variation: str | UnsetType | None = UNSET
    fallthrough: Serve | UnsetType = UNSET
    description: str = ""
    tags: tuple[str, ...] = ()
    maintainer: str | None = None
    client_side: bool = False
    salt: str = ""


class RenameFlag(OnFlag, frozen=True):
    """Give the flag another name; its key stays."""

    name: str


class DescribeFlag(OnFlag, frozen=True):
    """Say what the flag is for."""

    description: str


class TagFlag(OnFlag, frozen=True):
    """Set all tags."""

    tags: tuple[str, ...]


class AssignMaintainer(OnFlag, frozen=True):
    """Say which account looks after the flag; empty for none."""

    maintainer: str


class ExposeClientSide(OnFlag, frozen=True):
    """Let client keys see the flag's values."""


class HideClientSide(OnFlag, frozen=True):
    """Keep the flag's values from client keys."""


class ArchiveFlag(OnFlag, frozen=True):
    """Take the flag out of every ruleset, keeping its settings."""


class RestoreFlag(OnFlag, frozen=True):
    """Bring an archived flag back as it was."""


class DeleteFlag(OnFlag, frozen=True):
    """End the flag; its key may be taken by a new one."""


class ChangeVariations(OnFlag, frozen=True):
    """Set all variations; the defaults of new environments stay where left out."""

    variations: tuple[Variation, ...]
    off_variation: str | UnsetType | None = UNSET
    fallthrough: Serve | UnsetType = UNSET


# -- flags, as set in one environment ------------------------------------------------------------


class EnableFlag(OnSettings, frozen=True):
    """Let targets, rules and fallthrough decide."""


class DisableFlag(OnSettings, frozen=True):
    """Give everybody the off variation."""


class ChangeOffVariation(OnSettings, frozen=True):
    """Say what is served while the flag is off; null for the caller's default."""

    off_variation: str | None


class ChangeFallthrough(OnSettings, frozen=True):
    """Say what is served where no target and no rule matched."""

    fallthrough: Serve


class ChangeTargets(OnSettings, frozen=True):
    """Set all targets, in order."""

    targets: tuple[Target, ...]


class AddRule(OnSettings, frozen=True):
    """Put a rule at ``position`` (0 is first; left out, last). Its id may be left out."""

    rule_ids_may_be_left_out: ClassVar[bool] = True

    rule: Rule
    position: int | None = None


class ChangeRule(OnSettings, frozen=True):
    """Replace the rule of the same id, at its place."""

    rule: Rule


class RemoveRule(OnSettings, frozen=True):
    """Drop the rule of this id."""

    rule: str


class ReorderRules(OnSettings, frozen=True):
    """Set the order of all rules, by their ids."""

    order: tuple[str, ...]


class ChangePrerequisites(OnSettings, frozen=True):
    """Set all prerequisites, in order."""

    prerequisites: tuple[Prerequisite, ...]


class SetExpiry(OnSettings, frozen=True):
    """Serve the off variation from an instant on."""

    expires_at: datetime


class ClearExpiry(OnSettings, frozen=True):
    """Let the flag not expire."""


class SetExposureTracking(OnSettings, frozen=True):
    """Have SDKs report who saw which variation, or not."""

    enabled: bool


# -- segments ------------------------------------------------------------------------------------


class CreateSegment(OnSegment, frozen=True):
    """Begin a segment. ``salt`` and the ids of rules are filled in where left out."""

    rule_ids_may_be_left_out: ClassVar[bool] = True

    name: str = ""
    description: str = ""
    included: tuple[SegmentKeys, ...] = ()
    excluded: tuple[SegmentKeys, ...] = ()
    rules: tuple[SegmentRule, ...] = ()
    salt: str = ""


class RenameSegment(OnSegment, frozen=True):
    """Give the segment another name; its key stays."""

    name: str


class DescribeSegment(OnSegment, frozen=True):
    """Say what the segment is for."""

    description: str


class AddSegmentMembers(OnSegment, frozen=True):
    """Put keys of one context kind into one of the segment's lists."""

    keys: tuple[str, ...]
    members: MemberList = "included"
    kind: str = "user"


class RemoveSegmentMembers(OnSegment, frozen=True):
    """Take keys of one context kind out of one of the segment's lists."""

    keys: tuple[str, ...]
    members: MemberList = "included"
    kind: str = "user"


class ChangeSegmentRules(OnSegment, frozen=True):
    """Set all rules. Their ids may be left out."""

    rule_ids_may_be_left_out: ClassVar[bool] = True

    rules: tuple[SegmentRule, ...]


class DeleteSegment(OnSegment, frozen=True):
    """End the segment; its key may be taken by a new one."""


SettingsCommand: TypeAlias = (
    EnableFlag
    | DisableFlag
    | ChangeOffVariation
    | ChangeFallthrough
    | ChangeTargets
    | AddRule
    | ChangeRule
    | RemoveRule
    | ReorderRules
    | ChangePrerequisites
    | SetExpiry
    | ClearExpiry
    | SetExposureTracking
)
"""Those on a flag in one environment."""

Command: TypeAlias = (
    CreateProject
    | RenameProject
    | DeleteProject
    | VoidEvent
    | CreateEnvironment
    | RenameEnvironment
    | SetEnvironmentAttributes
    | ProtectEnvironment
    | UnprotectEnvironment
    | SetRequiredApprovals
    | DeleteEnvironment
    | IssueSdkKey
    | SetSdkKeyOrigins
    | RotateSdkKey
    | SetSdkKeyExpiry
    | RevokeSdkKey
    | CreateFlag
    | RenameFlag
    | DescribeFlag
    | TagFlag
    | AssignMaintainer
    | ExposeClientSide
    | HideClientSide
    | ArchiveFlag
    | RestoreFlag
    | DeleteFlag
    | ChangeVariations
    | SettingsCommand
    | CreateSegment
    | RenameSegment
    | DescribeSegment
    | AddSegmentMembers
    | RemoveSegmentMembers
    | ChangeSegmentRules
    | DeleteSegment
    | WebhookCommand
    | ChangeRequestCommand
)

COMMAND_TYPES: dict[str, type[Command]] = {
    command.__name__: command for command in get_args(Command)
}
"""Every command of a project, by its ``type``."""


def decode_command(source: bytes | dict[str, Any]) -> Command:
    """Read a command from JSON, or from what JSON decodes to.

    Raises :class:`~domain.errors.InvalidCommand`, which lists what is wrong where.
    """
    command: Command = decode(source, COMMAND_TYPES)
    return command


NewId: TypeAlias = Callable[[], str]
"""Draws twelve characters of a-z and 0-9, different each time."""

R = TypeVar("R", Rule, SegmentRule)


def complete(command: Command, new_id: NewId) -> Command:
    """The command with every id and salt that was left out. The same where none was."""
    match command:
        case CreateProject():
            named = tuple(
                replace(environment, id=environment.id or new_id())
                for environment in command.environments
            )
            return replace(command, environments=named)
        case CreateEnvironment():
            return replace(command, id=command.id or new_id())
        case IssueSdkKey():
            return replace(command, key=command.key or new_id())
        case OpenChangeRequest():
            return replace(command, change_request=command.change_request or new_id())
        case CreateWebhook():
            return replace(command, webhook=command.webhook or new_id())
        case RotateSdkKey():
            return replace(command, successor=command.successor or new_id())
        case CreateFlag():
            return replace(command, salt=command.salt or new_id())
        case AddRule():
            return replace(command, rule=_named(command.rule, new_id))
        case CreateSegment():
            rules = tuple(_named(rule, new_id) for rule in command.rules)
            return replace(command, salt=command.salt or new_id(), rules=rules)
        case ChangeSegmentRules():
            return replace(command, rules=tuple(_named(rule, new_id) for rule in command.rules))
        case _:
            return command


def _named(rule: R, new_id: NewId) -> R:
    return replace(rule, id=rule.id or new_id())
