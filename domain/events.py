"""Every event that a project's log can hold. Stored shapes are for ever.

An event is in the past tense and says one intention. Which project, environment or flag it
concerns, and who did it, stands in the envelope (:class:`~domain.facts.Fact`, the log's columns)
and is never repeated in the payload.

Changing a shape: never edit one that was shipped, a default included. Raise ``schema_version``,
add an upcast (:mod:`domain.upcast`) and a golden sample (``tests/golden``).

``critical``: a reader that does not know the type must stop. An event that is not critical never
affects a ruleset.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Literal, TypeAlias, get_args

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

from domain.change_request_events import ChangeRequestEvent
from domain.stored import Stored
from domain.webhook_events import WebhookEvent

SdkKeyKind: TypeAlias = Literal["server", "client"]
MemberList: TypeAlias = Literal["included", "excluded"]
"""The two lists of a segment: keys that are always in it, and keys that never are."""


# -- the project ---------------------------------------------------------------------------------


class ProjectCreated(Stored, frozen=True):
    """A project begins, empty."""

    name: str


class ProjectRenamed(Stored, frozen=True):
    """The name that people see has changed; the key never does."""

    critical: ClassVar[bool] = False

    name: str


class ProjectDeleted(Stored, frozen=True):
    """The project ended with all that was in it; its log remains."""


class EventVoided(Stored, frozen=True):
    """Readers pass over the event at ``seq``, which none could apply."""

    seq: int
    reason: str


# -- environments and their keys -----------------------------------------------------------------


class EnvironmentCreated(Stored, frozen=True):
    """An environment begins; every flag, archived ones too, is in it with its defaults."""

    id: str
    """Opaque, twelve of a-z and 0-9, never used again; the key may be, after a deletion."""
    name: str
    protected: bool = False
    attributes: dict[str, Any] = msgspec.field(default_factory=dict)


class EnvironmentRenamed(Stored, frozen=True):
    """The name that people see has changed."""

    critical: ClassVar[bool] = False

    name: str


class EnvironmentAttributesSet(Stored, frozen=True):
    """The attributes of the context kind ``environment`` are now these."""

    attributes: dict[str, Any]


class EnvironmentProtected(Stored, frozen=True):
    """Changes here now need the right to change protected environments."""

    critical: ClassVar[bool] = False


class EnvironmentUnprotected(Stored, frozen=True):
    """Changes here no longer need the right to change protected environments."""

    critical: ClassVar[bool] = False


class RequiredApprovalsSet(Stored, frozen=True):
    """So many others must approve of a change here; 0 for none."""

    critical: ClassVar[bool] = False

    approvals: int


class EnvironmentDeleted(Stored, frozen=True):
    """The environment ended, with its SDK keys and every flag's settings in it."""


class SdkKeyIssued(Stored, frozen=True):
    """A key for SDKs. The entity's key is the key's id, not its secret."""

    schema_version: ClassVar[int] = 2

    kind: SdkKeyKind
    name: str = ""
    sha256: str | None = None
    """Of a server key, in hexadecimal; the key itself is never stored."""
    client_key: str | None = None
    """A client key in clear: it is a public identifier."""
    origins: tuple[str, ...] = ()
    """Whose pages may use a client key; empty for anybody's. Since version 2."""


class SdkKeyOriginsSet(Stored, frozen=True):
    """Pages of these origins may use the client key; empty for those of any."""

    origins: tuple[str, ...]


class SdkKeyExpirySet(Stored, frozen=True):
    """The key opens nothing any more from ``expires_at`` on; None: it has no end again."""

    expires_at: datetime | None


class SdkKeyRevoked(Stored, frozen=True):
    """The key opens nothing any more."""


# -- flags, as defined for the whole project -----------------------------------------------------


class FlagCreated(Stored, frozen=True):
    """A flag begins, disabled in every environment.

    ``off_variation`` and ``fallthrough`` are what each environment begins with.
    """

    name: str
    type: FlagType
    variations: tuple[Variation, ...]
    off_variation: str | None
    fallthrough: Serve
    salt: str
    description: str = ""
    tags: tuple[str, ...] = ()
    maintainer: str = ""
    client_side: bool = False


class FlagRenamed(Stored, frozen=True):
    """The name that people see has changed."""

    critical: ClassVar[bool] = False

    name: str


class FlagDescribed(Stored, frozen=True):
    """The description is now this."""

    critical: ClassVar[bool] = False

    description: str


class FlagTagged(Stored, frozen=True):
    """The tags are now these."""

    critical: ClassVar[bool] = False

    tags: tuple[str, ...]


class FlagMaintainerAssigned(Stored, frozen=True):
    """The account that looks after the flag; empty for none."""

    critical: ClassVar[bool] = False

    maintainer: str


class FlagClientSideExposed(Stored, frozen=True):
    """Client keys now see the flag's values."""


class FlagClientSideHidden(Stored, frozen=True):
    """Client keys no longer see the flag's values."""


class FlagArchived(Stored, frozen=True):
    """The flag left every ruleset; its settings are kept."""


class FlagRestored(Stored, frozen=True):
    """The flag is back in every ruleset, as it was set when it was archived."""


class FlagDeleted(Stored, frozen=True):
    """The flag ended; its key may be taken by a new one."""


class VariationsChanged(Stored, frozen=True):
    """The variations are now these, and new environments begin with these defaults."""

    variations: tuple[Variation, ...]
    off_variation: str | None
    fallthrough: Serve


# -- flags, as set in one environment ------------------------------------------------------------


class FlagEnabled(Stored, frozen=True):
    """Targets, rules and fallthrough decide."""


class FlagDisabled(Stored, frozen=True):
    """Everybody gets the off variation."""


class OffVariationChanged(Stored, frozen=True):
    """What is served while the flag is off; None for the caller's default."""

    off_variation: str | None


class FallthroughChanged(Stored, frozen=True):
    """What is served where no target and no rule matched."""

    fallthrough: Serve


class TargetsChanged(Stored, frozen=True):
    """The targets are now these, in this order."""

    targets: tuple[Target, ...]


class RuleAdded(Stored, frozen=True):
    """A rule was put at ``position`` (0 is first); those from there on moved down."""

    rule: Rule
    position: int


class RuleChanged(Stored, frozen=True):
    """The rule of this id is now this, at its old position."""

    rule: Rule


class RuleRemoved(Stored, frozen=True):
    """The rule of this id is gone."""

    rule: str


class RulesReordered(Stored, frozen=True):
    """The rules are now in the order of these ids, all of them."""

    order: tuple[str, ...]


class PrerequisitesChanged(Stored, frozen=True):
    """The prerequisites are now these, in this order."""

    prerequisites: tuple[Prerequisite, ...]


class ExpirySet(Stored, frozen=True):
    """From this instant on the off variation is served."""

    expires_at: datetime


class ExpiryCleared(Stored, frozen=True):
    """The flag no longer expires."""


class ExposureTrackingSet(Stored, frozen=True):
    """Whether SDKs report who saw which variation."""

    enabled: bool


# -- segments ------------------------------------------------------------------------------------


class SegmentCreated(Stored, frozen=True):
    """A segment begins."""

    name: str
    salt: str
    description: str = ""
    included: tuple[SegmentKeys, ...] = ()
    excluded: tuple[SegmentKeys, ...] = ()
    rules: tuple[SegmentRule, ...] = ()


class SegmentRenamed(Stored, frozen=True):
    """The name that people see has changed."""

    critical: ClassVar[bool] = False

    name: str


class SegmentDescribed(Stored, frozen=True):
    """The description is now this."""

    critical: ClassVar[bool] = False

    description: str


class SegmentMembersAdded(Stored, frozen=True):
    """Keys that were not in ``members`` now are, after those that were."""

    members: MemberList
    kind: str
    keys: tuple[str, ...]


class SegmentMembersRemoved(Stored, frozen=True):
    """Keys that were in ``members`` no longer are."""

    members: MemberList
    kind: str
    keys: tuple[str, ...]


class SegmentRulesChanged(Stored, frozen=True):
    """The rules are now these."""

    rules: tuple[SegmentRule, ...]


class SegmentDeleted(Stored, frozen=True):
    """The segment ended; its key may be taken by a new one."""


SettingsEvent: TypeAlias = (
    FlagEnabled
    | FlagDisabled
    | OffVariationChanged
    | FallthroughChanged
    | TargetsChanged
    | RuleAdded
    | RuleChanged
    | RuleRemoved
    | RulesReordered
    | PrerequisitesChanged
    | ExpirySet
    | ExpiryCleared
    | ExposureTrackingSet
)
"""Those whose entity is a flag in one environment."""

Event: TypeAlias = (
    ProjectCreated
    | ProjectRenamed
    | ProjectDeleted
    | EventVoided
    | EnvironmentCreated
    | EnvironmentRenamed
    | EnvironmentAttributesSet
    | EnvironmentProtected
    | EnvironmentUnprotected
    | RequiredApprovalsSet
    | EnvironmentDeleted
    | SdkKeyIssued
    | SdkKeyOriginsSet
    | SdkKeyExpirySet
    | SdkKeyRevoked
    | FlagCreated
    | FlagRenamed
    | FlagDescribed
    | FlagTagged
    | FlagMaintainerAssigned
    | FlagClientSideExposed
    | FlagClientSideHidden
    | FlagArchived
    | FlagRestored
    | FlagDeleted
    | VariationsChanged
    | SettingsEvent
    | SegmentCreated
    | SegmentRenamed
    | SegmentDescribed
    | SegmentMembersAdded
    | SegmentMembersRemoved
    | SegmentRulesChanged
    | SegmentDeleted
    | WebhookEvent
    | ChangeRequestEvent
)

EVENT_TYPES: dict[str, type[Stored]] = {event.__name__: event for event in get_args(Event)}
"""Every event of a project, by its name in the log."""
