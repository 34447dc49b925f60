"""What reads answer: the rows of a folded state, as JSON shows them.

A view is made for one answer. ``revision`` is the entity's, ``updatedAt`` the time of its last
event; both move only with events of the entity itself.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

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

from domain.events import SdkKeyKind
from domain.facts import Entity, environment_entity
from domain.state import (
    Environment,
    FlagSettings,
    ProjectState,
    SdkKey,
    SegmentDefinition,
)
from server.searching.entries import FlagEntry
from server.searching.staleness import Staleness


class View(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What every entity shows."""

    revision: int
    created_at: datetime
    updated_at: datetime | None


class ProjectView(View, frozen=True):
    """A project."""

    key: str
    name: str
    environments: tuple[str, ...]
    """Their keys, in order."""
    flags: int
    """How many there are, archived ones included."""
    segments: int
    seq: int
    """Of the project's log, as of this answer."""


class EnvironmentView(View, frozen=True):
    """An environment."""

    key: str
    id: str
    name: str
    protected: bool
    required_approvals: int
    """How many others must approve of a change."""
    attributes: dict[str, Any]


class SdkKeyView(View, frozen=True):
    """An SDK key; a server key's secret is not known to anybody any more."""

    id: str
    environment: str
    kind: SdkKeyKind
    name: str
    client_key: str | None
    origins: tuple[str, ...]
    """Whose pages may use a client key; empty for anybody's."""
    expires_at: datetime | None
    """From when on it opens nothing; null where it has no end."""
    revoked_at: datetime | None


class SettingsSummary(msgspec.Struct, frozen=True, rename="camel"):
    """How a flag stands in one environment, in short."""

    enabled: bool
    revision: int
    off_variation: str | None
    fallthrough: Serve
    rules: int
    """How many there are."""
    targets: int
    expires_at: datetime | None


class FlagView(View, frozen=True):
    """A flag's definition, and how it stands in each environment."""

    key: str
    name: str
    type: FlagType
    description: str
    tags: tuple[str, ...]
    maintainer: str
    variations: tuple[Variation, ...]
    off_variation: str | None
    """What new environments begin with, as ``fallthrough``."""
    fallthrough: Serve
    client_side: bool
    archived: bool
    archived_at: datetime | None
    staleness: Staleness
    changed_at: datetime
    """When the definition, or the settings in any environment, were last changed."""
    environments: dict[str, SettingsSummary]


class FlagSettingsView(msgspec.Struct, frozen=True, rename="camel"):
    """A flag as it is set in one environment; its revision is 0 until it first changes there."""

    flag: str
    environment: str
    revision: int
    updated_at: datetime | None
    enabled: bool
    off_variation: str | None
    fallthrough: Serve
    targets: tuple[Target, ...]
    rules: tuple[Rule, ...]
    prerequisites: tuple[Prerequisite, ...]
    expires_at: datetime | None
    track_exposures: bool


class SegmentView(View, frozen=True):
    """A segment with all of its members."""

    key: str
    name: str
    description: str
    included: tuple[SegmentKeys, ...]
    excluded: tuple[SegmentKeys, ...]
    rules: tuple[SegmentRule, ...]


class SegmentSummary(View, frozen=True):
    """A segment in a list: its members are counted."""

    key: str
    name: str
    description: str
    included: int
    excluded: int
    rules: int
    flags: int
    """How many name it in a rule of any environment."""


def project_view(state: ProjectState, seq: int) -> ProjectView:
    """The project of a state that has one."""
    project = state.project
    if project is None:
        raise ValueError("the state has no project")
    mark = state.mark(Entity("project", project.key))
    return ProjectView(
        key=project.key,
        name=project.name,
        environments=tuple(sorted(state.environments)),
        flags=len(state.flags),
        segments=len(state.segments),
        seq=seq,
        revision=mark.revision,
        created_at=project.created_at,
        updated_at=mark.at,
    )


def environment_view(state: ProjectState, row: Environment) -> EnvironmentView:
    """An environment of the state."""
    mark = state.mark(environment_entity(row.key))
    return EnvironmentView(
        key=row.key,
        id=row.id,
        name=row.name,
        protected=row.protected,
        required_approvals=row.required_approvals,
        attributes=row.attributes,
        revision=mark.revision,
        created_at=row.created_at,
        updated_at=mark.at,
    )


def sdk_key_view(state: ProjectState, row: SdkKey) -> SdkKeyView:
    """An SDK key of the state."""
    mark = state.mark(Entity("key", row.id, row.environment))
    return SdkKeyView(
        id=row.id,
        environment=row.environment,
        kind=row.kind,
        name=row.name,
        client_key=row.client_key,
        origins=row.origins,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        revision=mark.revision,
        created_at=row.created_at,
        updated_at=mark.at,
    )


def flag_view(state: ProjectState, entry: FlagEntry, now: datetime) -> FlagView:
    """A flag of the state, and what has become of it by an instant."""
    row, mark = entry.flag, state.mark(Entity("flag", entry.flag.key))
    return FlagView(
        key=row.key,
        name=row.name,
        type=row.type,
        description=row.description,
        tags=row.tags,
        maintainer=row.maintainer,
        variations=row.variations,
        off_variation=row.off_variation,
        fallthrough=row.fallthrough,
        client_side=row.client_side,
        archived=row.archived,
        archived_at=row.archived_at,
        staleness=entry.staleness(now),
        changed_at=entry.changed_at,
        environments={
            environment: _summary(state, row.key, environment)
            for environment in sorted(state.environments)
        },
        revision=mark.revision,
        created_at=row.created_at,
        updated_at=mark.at,
    )


def _summary(state: ProjectState, flag: str, environment: str) -> SettingsSummary:
    settings = state.settings[flag, environment]
    return SettingsSummary(
        settings.enabled,
        state.revision(Entity("flag", flag, environment)),
        settings.off_variation,
        settings.fallthrough,
        len(settings.rules),
        len(settings.targets),
        settings.expires_at,
    )


def settings_view(
    state: ProjectState, flag: str, environment: str, row: FlagSettings
) -> FlagSettingsView:
    """A flag as the state has it in one environment."""
    mark = state.mark(Entity("flag", flag, environment))
    return FlagSettingsView(
        flag,
        environment,
        mark.revision,
        mark.at,
        row.enabled,
        row.off_variation,
        row.fallthrough,
        row.targets,
        row.rules,
        row.prerequisites,
        row.expires_at,
        row.track_exposures,
    )


def segment_view(state: ProjectState, row: SegmentDefinition) -> SegmentView:
    """A segment of the state."""
    mark = state.mark(Entity("segment", row.key))
    return SegmentView(
        key=row.key,
        name=row.name,
        description=row.description,
        included=row.included,
        excluded=row.excluded,
        rules=row.rules,
        revision=mark.revision,
        created_at=row.created_at,
        updated_at=mark.at,
    )


def segment_summary(state: ProjectState, row: SegmentDefinition, flags: int) -> SegmentSummary:
    """A segment of the state, in short, with how many flags name it."""
    mark = state.mark(Entity("segment", row.key))
    return SegmentSummary(
        key=row.key,
        name=row.name,
        description=row.description,
        included=sum(len(held.keys) for held in row.included),
        excluded=sum(len(held.keys) for held in row.excluded),
        rules=len(row.rules),
        flags=flags,
        revision=mark.revision,
        created_at=row.created_at,
        updated_at=mark.at,
    )
