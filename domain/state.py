"""What the events of one project add up to: the state that commands are decided against.

The same state answers the administrators' reads. It is changed by :mod:`domain.evolve` only; its
rows are values. An undecided batch is folded into :meth:`ProjectState.overlay`.

A snapshot is :func:`dump`; equal states have equal dumps, so :func:`digest` names a state.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec
from halyard_protocol.codec import decoder
from halyard_protocol.conditions import Condition, condition_to_json
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

from domain.change_request_events import Base
from domain.events import SdkKeyKind
from domain.facts import Entity
from domain.tables import Table
from domain.webhooks import Template, WebhookFilter

FOLD_VERSION = 5
"""Raised whenever a dump of older code is no longer what this code would make of the same log."""


class Project(msgspec.Struct, frozen=True):
    """The project itself."""

    key: str
    name: str
    created_at: datetime


class Environment(msgspec.Struct, frozen=True):
    """One environment. ``id`` is opaque and never used again; ``key`` may be."""

    key: str
    id: str
    name: str
    protected: bool
    attributes: dict[str, Any]
    created_at: datetime
    required_approvals: int = 0
    """How many others must approve of a change here."""


class SdkKey(msgspec.Struct, frozen=True):
    """A key of an environment; exactly one of ``sha256`` and ``client_key`` is set."""

    id: str
    environment: str
    kind: SdkKeyKind
    name: str
    sha256: str | None
    client_key: str | None
    created_at: datetime
    revoked_at: datetime | None = None
    origins: tuple[str, ...] = ()
    """Whose pages may use a client key; empty for anybody's."""
    expires_at: datetime | None = None
    """From when on it opens nothing; None where it has no end."""

    def is_live(self, now: datetime) -> bool:
        """Whether it was not revoked, and its end has not come."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class FlagDefinition(msgspec.Struct, frozen=True, gc=False):
    """What a flag is everywhere. Off variation and fallthrough are for new environments."""

    key: str
    name: str
    type: FlagType
    variations: tuple[Variation, ...]
    off_variation: str | None
    fallthrough: Serve
    salt: str
    description: str
    tags: tuple[str, ...]
    maintainer: str
    client_side: bool
    created_at: datetime
    archived_at: datetime | None = None

    @property
    def archived(self) -> bool:
        """Whether it is out of every ruleset."""
        return self.archived_at is not None


class FlagSettings(msgspec.Struct, frozen=True, gc=False):
    """How a flag is set in one environment."""

    enabled: bool
    off_variation: str | None
    fallthrough: Serve
    targets: tuple[Target, ...] = ()
    rules: tuple[Rule, ...] = ()
    prerequisites: tuple[Prerequisite, ...] = ()
    expires_at: datetime | None = None
    track_exposures: bool = False


def rests_on_flags(settings: FlagSettings) -> bool:
    """Whether other flags are prerequisites."""
    return bool(settings.prerequisites)


class SegmentDefinition(msgspec.Struct, frozen=True, gc=False):
    """A named set of contexts."""

    key: str
    name: str
    description: str
    included: tuple[SegmentKeys, ...]
    excluded: tuple[SegmentKeys, ...]
    rules: tuple[SegmentRule, ...]
    salt: str
    created_at: datetime


class Webhook(msgspec.Struct, frozen=True):
    """Who is told of what. ``target`` and the secrets name rows of a table beside the log."""

    id: str
    name: str
    description: str
    address: str
    target: str
    headers: tuple[str, ...]
    filter: WebhookFilter
    template: Template
    secret: str
    enabled: bool
    created_at: datetime
    begun_at: int
    """The seq of the event that last said where to go on."""
    begins_after: int
    """Where: the first event that is delivered is the next one after this seq."""
    disabled_because: str = ""
    previous_secret: str | None = None
    previous_until: datetime | None = None


ChangeRequestStatus: TypeAlias = Literal["open", "rejected", "applied", "withdrawn"]


class Approval(msgspec.Struct, frozen=True):
    """Who approved of a change request as it stands, and when."""

    account: str
    at: datetime


class ChangeRequest(msgspec.Struct, frozen=True):
    """Commands that wait for approval, or have been carried out or given up."""

    id: str
    title: str
    description: str
    commands: tuple[dict[str, Any], ...]
    base: tuple[Base, ...]
    """What they change, as of when they were written."""
    authors: tuple[str, ...]
    """Accounts that wrote or edited it: they approve of nothing in it."""
    created_at: datetime
    status: ChangeRequestStatus = "open"
    approvals: tuple[Approval, ...] = ()
    closed_at: datetime | None = None
    """When it was applied or withdrawn; None before."""


class Mark(msgspec.Struct, frozen=True, gc=False):
    """An entity's last change: which revision it made, at which seq of the log, and when."""

    revision: int
    seq: int
    at: datetime | None


UNMARKED = Mark(0, 0, None)
"""Of an entity that never changed."""


class ProjectState:
    """One project as of one seq. ``project`` is None before its creation and after its end."""

    __slots__ = (
        "change_requests",
        "environments",
        "flags",
        "keys",
        "marks",
        "project",
        "segments",
        "settings",
        "voided",
        "webhooks",
    )

    def __init__(self, of: ProjectState | None = None) -> None:
        self.project: Project | None = of.project if of else None
        self.environments: Table[str, Environment] = Table(of.environments if of else None)
        self.keys: Table[tuple[str, str], SdkKey] = Table(of.keys if of else None)
        """By (key id, environment); revoked ones stay until their environment ends."""
        self.flags: Table[str, FlagDefinition] = Table(of.flags if of else None)
        self.settings: Table[tuple[str, str], FlagSettings] = Table(
            of.settings if of else None, rests_on_flags
        )
        """By (flag, environment): one row for each pair that exists. Those that
        :func:`rests_on_flags` are noted."""
        self.segments: Table[str, SegmentDefinition] = Table(of.segments if of else None)
        self.webhooks: Table[str, Webhook] = Table(of.webhooks if of else None)
        self.change_requests: Table[str, ChangeRequest] = Table(of.change_requests if of else None)
        self.marks: Table[Entity, Mark] = Table(of.marks if of else None)
        """Also of entities that ended: a key taken anew goes on counting."""
        self.voided: Table[int, str] = Table(of.voided if of else None)
        """Reasons by the seq of the event that was voided."""

    def mark(self, entity: Entity) -> Mark:
        """The last change of an entity; all zero where it never had one of its own."""
        return self.marks.get(entity) or UNMARKED

    def revision(self, entity: Entity) -> int:
        """The entity's current revision, 0 where it never changed."""
        return self.mark(entity).revision

    def overlay(self) -> ProjectState:
        """A view that can be evolved without this state seeing it. Overlays may be nested.

        It is valid until this state itself changes.
        """
        return ProjectState(self)

    def copy(self) -> ProjectState:
        """The same rows in a state of its own: for a thread, while this one goes on."""
        copied = ProjectState()
        copied.project = self.project
        copied.environments = self.environments.copy()
        copied.keys = self.keys.copy()
        copied.flags = self.flags.copy()
        copied.settings = self.settings.copy()
        copied.segments = self.segments.copy()
        copied.webhooks = self.webhooks.copy()
        copied.change_requests = self.change_requests.copy()
        copied.marks = self.marks.copy()
        copied.voided = self.voided.copy()
        return copied

    def absorb(self, overlay: ProjectState) -> None:
        """Take over what was folded into an overlay of this state."""
        self.project = overlay.project
        self.environments.absorb(overlay.environments)
        self.keys.absorb(overlay.keys)
        self.flags.absorb(overlay.flags)
        self.settings.absorb(overlay.settings)
        self.segments.absorb(overlay.segments)
        self.webhooks.absorb(overlay.webhooks)
        self.change_requests.absorb(overlay.change_requests)
        self.marks.absorb(overlay.marks)
        self.voided.absorb(overlay.voided)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ProjectState) and all(
            getattr(self, name) == getattr(other, name) for name in ProjectState.__slots__
        )

    __hash__ = None  # type: ignore[assignment]


class _Snapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    project: Project | None
    environments: list[Environment]
    keys: list[SdkKey]
    flags: list[FlagDefinition]
    settings: list[tuple[str, str, FlagSettings]]
    segments: list[SegmentDefinition]
    webhooks: list[Webhook]
    change_requests: list[ChangeRequest]
    marks: list[tuple[Entity, Mark]]
    voided: list[tuple[int, str]]


def _write_hook(value: object) -> object:
    if isinstance(value, Condition):
        return condition_to_json(value)
    raise NotImplementedError(f"no writing of {type(value)}")


_encoder = msgspec.json.Encoder(enc_hook=_write_hook, order="deterministic")
_decoder = decoder(_Snapshot)


def encode_row(row: object) -> bytes:
    """Write a row, or what holds rows, as JSON: the same bytes for equal rows."""
    return _encoder.encode(row)


def dump(state: ProjectState) -> bytes:
    """Write a state as JSON: the same bytes for equal states, however they came about."""
    snapshot = _Snapshot(
        state.project,
        [row for _, row in sorted(state.environments.items())],
        [row for _, row in sorted(state.keys.items())],
        [row for _, row in sorted(state.flags.items())],
        [(*key, state.settings[key]) for key in sorted(state.settings)],
        [row for _, row in sorted(state.segments.items())],
        [row for _, row in sorted(state.webhooks.items())],
        [row for _, row in sorted(state.change_requests.items())],
        sorted(state.marks.items(), key=_by_entity),
        sorted(state.voided.items()),
    )
    return _encoder.encode(snapshot)


def _by_entity(item: tuple[Entity, Mark]) -> tuple[str, str, str]:
    entity, _ = item
    return entity.kind, entity.key, entity.environment or ""


def load(source: bytes) -> ProjectState:
    """Read what :func:`dump` wrote. Raises ``msgspec.DecodeError`` for anything else."""
    snapshot = _decoder.decode(source)
    state = ProjectState()
    state.project = snapshot.project
    for environment in snapshot.environments:
        state.environments.put(environment.key, environment)
    for key in snapshot.keys:
        state.keys.put((key.id, key.environment), key)
    for flag in snapshot.flags:
        state.flags.put(flag.key, flag)
    for flag_key, environment_key, settings in snapshot.settings:
        state.settings.put((flag_key, environment_key), settings)
    for segment in snapshot.segments:
        state.segments.put(segment.key, segment)
    for webhook in snapshot.webhooks:
        state.webhooks.put(webhook.id, webhook)
    for request in snapshot.change_requests:
        state.change_requests.put(request.id, request)
    for entity, mark in snapshot.marks:
        state.marks.put(entity, mark)
    for seq, reason in snapshot.voided:
        state.voided.put(seq, reason)
    return state


def digest(state: ProjectState) -> str:
    """A name for the state: equal states, and only those, have the same. Hexadecimal."""
    return hashlib.sha256(dump(state)).hexdigest()
