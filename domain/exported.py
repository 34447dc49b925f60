"""A project as one document: what it is now, to be kept, compared and taken in elsewhere.

It holds no SDK keys, nobody's names, no revisions and no times of changes: equal projects have
equal documents, so that two exports differ where the projects do. Salts are in it, so that a
rollout gives the same people the same variation in a copy. Lists stand in the order of their keys,
members of segments too; where an order means something (rules, targets, variations), it is kept.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

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

from domain.state import FlagDefinition, FlagSettings, ProjectState, SegmentDefinition


class _Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What all parts of the document share: what is as usual is left out."""


class ExportedProject(_Part, frozen=True, kw_only=True):
    """The project itself."""

    key: str
    name: str


class ExportedEnvironment(_Part, frozen=True, kw_only=True):
    """An environment; its id is of its installation, and is not told."""

    key: str
    name: str
    protected: bool = False
    attributes: dict[str, Any] = {}
    required_approvals: int = 0


class ExportedSettings(_Part, frozen=True, kw_only=True):
    """A flag as it is set in one environment."""

    enabled: bool = False
    off_variation: str | None
    fallthrough: Serve
    targets: tuple[Target, ...] = ()
    rules: tuple[Rule, ...] = ()
    prerequisites: tuple[Prerequisite, ...] = ()
    expires_at: datetime | None = None
    track_exposures: bool = False

    @property
    def row(self) -> FlagSettings:
        """As a state holds it."""
        return FlagSettings(
            self.enabled,
            self.off_variation,
            self.fallthrough,
            self.targets,
            self.rules,
            self.prerequisites,
            self.expires_at,
            self.track_exposures,
        )


class ExportedFlag(_Part, frozen=True, kw_only=True):
    """A flag, and how it is set in environments; one that is not named is left as it is."""

    key: str
    name: str
    type: FlagType
    description: str = ""
    tags: tuple[str, ...] = ()
    maintainer: str = ""
    client_side: bool = False
    archived: bool = False
    variations: tuple[Variation, ...]
    off_variation: str | None
    fallthrough: Serve
    salt: str = ""
    """Only for a flag that is begun; drawn where left out."""
    environments: dict[str, ExportedSettings] = {}

    def row(self, at: datetime) -> FlagDefinition:
        """As a state holds it, had it begun, or been archived, at an instant."""
        return FlagDefinition(
            self.key,
            self.name,
            self.type,
            self.variations,
            self.off_variation,
            self.fallthrough,
            self.salt,
            self.description,
            self.tags,
            self.maintainer,
            self.client_side,
            at,
            at if self.archived else None,
        )


class ExportedSegment(_Part, frozen=True, kw_only=True):
    """A segment with all of its members."""

    key: str
    name: str
    description: str = ""
    included: tuple[SegmentKeys, ...] = ()
    excluded: tuple[SegmentKeys, ...] = ()
    rules: tuple[SegmentRule, ...] = ()
    salt: str = ""
    """Only for a segment that is begun; drawn where left out."""

    def row(self, at: datetime) -> SegmentDefinition:
        """As a state holds it, had it begun at an instant."""
        return SegmentDefinition(
            self.key,
            self.name,
            self.description,
            self.included,
            self.excluded,
            self.rules,
            self.salt,
            at,
        )


class ProjectExport(_Part, frozen=True, kw_only=True):
    """A whole project."""

    version: Literal[1]
    """Of this form; another one has another number."""
    project: ExportedProject
    environments: tuple[ExportedEnvironment, ...] = ()
    segments: tuple[ExportedSegment, ...] = ()
    flags: tuple[ExportedFlag, ...] = ()


def export(state: ProjectState) -> ProjectExport:
    """The document of a project that is there. Raises ``ValueError`` where it is not."""
    if state.project is None:
        raise ValueError("the state has no project")
    return ProjectExport(
        version=1,
        project=ExportedProject(key=state.project.key, name=state.project.name),
        environments=tuple(
            ExportedEnvironment(
                key=row.key,
                name=row.name,
                protected=row.protected,
                attributes=row.attributes,
                required_approvals=row.required_approvals,
            )
            for _, row in sorted(state.environments.items())
        ),
        segments=tuple(_segment(row) for _, row in sorted(state.segments.items())),
        flags=tuple(_flag(state, row) for _, row in sorted(state.flags.items())),
    )


def _segment(row: SegmentDefinition) -> ExportedSegment:
    return ExportedSegment(
        key=row.key,
        name=row.name,
        description=row.description,
        included=_in_order(row.included),
        excluded=_in_order(row.excluded),
        rules=row.rules,
        salt=row.salt,
    )


def _in_order(lists: tuple[SegmentKeys, ...]) -> tuple[SegmentKeys, ...]:
    kept = (SegmentKeys(held.kind, tuple(sorted(held.keys))) for held in lists if held.keys)
    return tuple(sorted(kept, key=lambda held: held.kind))


def _flag(state: ProjectState, row: FlagDefinition) -> ExportedFlag:
    return ExportedFlag(
        key=row.key,
        name=row.name,
        type=row.type,
        description=row.description,
        tags=row.tags,
        maintainer=row.maintainer,
        client_side=row.client_side,
        archived=row.archived,
        variations=row.variations,
        off_variation=row.off_variation,
        fallthrough=row.fallthrough,
        salt=row.salt,
        environments={
            environment: _settings(state.settings[row.key, environment])
            for environment in sorted(state.environments)
        },
    )


def _settings(row: FlagSettings) -> ExportedSettings:
    return ExportedSettings(
        enabled=row.enabled,
        off_variation=row.off_variation,
        fallthrough=row.fallthrough,
        targets=row.targets,
        rules=row.rules,
        prerequisites=row.prerequisites,
        expires_at=row.expires_at,
        track_exposures=row.track_exposures,
    )
