"""Which event touches which documents of which environments. Pure; one table says it all.

The version of a document is the seq of the last event that touched it, by the event's type alone,
whether or not its bytes came out different: so a rebuild and a live projection cannot disagree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from domain import events as e
from domain.facts import Entity
from domain.state import ProjectState
from domain.stored import Stored
from eventstore.log import GENESIS, StoredEvent
from projections.documents import (
    ENVIRONMENT_DOCUMENT,
    flag_document_name,
    key_document_name,
    segment_document_name,
)


class EnvironmentVersions:
    """The documents that one environment has, or had, and when each was last touched."""

    __slots__ = ("changed", "ended", "hash", "id", "key", "key_ids", "versions")

    def __init__(self, env_id: str, key: str) -> None:
        self.id = env_id
        self.key = key
        self.ended = False
        """An ended environment stays, all tombstones, so that its keys are known to be void."""
        self.changed = 0
        """The seq of the last event that touched a document here: the highest version."""
        self.hash = GENESIS
        """The log's chain at ``changed``."""
        self.versions: dict[str, int] = {}
        """By document name, tombstones included; the oldest change first."""
        self.key_ids: dict[str, str] = {}
        """The id of the SDK key behind a document's name."""

    def touch(self, name: str, at: StoredEvent) -> None:
        """Note that an event concerns a document."""
        self.versions.pop(name, None)
        self.versions[name] = self.changed = at.seq
        self.hash = at.hash

    def end(self, at: StoredEvent) -> None:
        """Note that the environment is gone, with all that was in it."""
        self.ended = True
        for name in list(self.versions):
            self.touch(name, at)

    def since(self, version: int) -> list[tuple[str, int]]:
        """Names and versions of the documents newer than ``version``, the oldest change first."""
        newer = []
        for name, changed in reversed(self.versions.items()):
            if changed <= version:
                break
            newer.append((name, changed))
        return sorted(newer, key=_by_version)


def _by_version(item: tuple[str, int]) -> tuple[int, str]:
    name, version = item
    return version, name


class Environments:
    """The environments of one log."""

    __slots__ = ("by_id", "living")

    def __init__(self) -> None:
        self.by_id: dict[str, EnvironmentVersions] = {}
        """Those that ended included."""
        self.living: dict[str, EnvironmentVersions] = {}
        """By key."""

    def add(self, versions: EnvironmentVersions) -> None:
        """Take in an environment."""
        self.by_id[versions.id] = versions
        if not versions.ended:
            self.living[versions.key] = versions

    def of(self, entity: Entity) -> EnvironmentVersions:
        """The environment that an entity is in. Raises ``KeyError``."""
        return self.living[entity.environment or ""]

    def touch_everywhere(self, name: str, at: StoredEvent) -> None:
        """Note that an event concerns a document of every environment."""
        for versions in self.living.values():
            versions.touch(name, at)

    def end(self, key: str, at: StoredEvent) -> None:
        """Note that an environment is gone. Raises ``KeyError``."""
        self.living.pop(key).end(at)


Touch: TypeAlias = Callable[[Environments, ProjectState, Entity, Any, StoredEvent], None]
"""Notes what an event concerns. The state has the event already."""


def _flag_here(to: Environments, _: ProjectState, entity: Entity, __: Any, at: StoredEvent) -> None:
    to.of(entity).touch(flag_document_name(entity.key), at)


def _flag_everywhere(
    to: Environments, _: ProjectState, entity: Entity, __: Any, at: StoredEvent
) -> None:
    to.touch_everywhere(flag_document_name(entity.key), at)


def _segment_everywhere(
    to: Environments, _: ProjectState, entity: Entity, __: Any, at: StoredEvent
) -> None:
    to.touch_everywhere(segment_document_name(entity.key), at)


def _environment_here(
    to: Environments, _: ProjectState, entity: Entity, __: Any, at: StoredEvent
) -> None:
    to.of(entity).touch(ENVIRONMENT_DOCUMENT, at)


def _environment_begins(
    to: Environments,
    state: ProjectState,
    entity: Entity,
    event: e.EnvironmentCreated,
    at: StoredEvent,
) -> None:
    versions = EnvironmentVersions(event.id, entity.key)
    to.add(versions)
    versions.touch(ENVIRONMENT_DOCUMENT, at)
    for flag in state.flags.values():
        if not flag.archived:
            versions.touch(flag_document_name(flag.key), at)
    for segment in state.segments:
        versions.touch(segment_document_name(segment), at)


def _environment_ends(
    to: Environments, _: ProjectState, entity: Entity, __: Any, at: StoredEvent
) -> None:
    to.end(entity.key, at)


def _project_ends(
    to: Environments, _: ProjectState, _entity: Entity, __: Any, at: StoredEvent
) -> None:
    for key in list(to.living):
        to.end(key, at)


def _key_issued(
    to: Environments, _: ProjectState, entity: Entity, event: e.SdkKeyIssued, at: StoredEvent
) -> None:
    name = key_document_name(event.sha256, event.client_key)
    to.of(entity).key_ids[name] = entity.key
    to.of(entity).touch(name, at)


def _key_changed(
    to: Environments, state: ProjectState, entity: Entity, _: Any, at: StoredEvent
) -> None:
    row = state.keys[entity.key, entity.environment or ""]
    to.of(entity).touch(key_document_name(row.sha256, row.client_key), at)


TOUCHES: dict[type[Stored], Touch] = {
    e.ProjectDeleted: _project_ends,
    e.EnvironmentCreated: _environment_begins,
    e.EnvironmentAttributesSet: _environment_here,
    e.EnvironmentDeleted: _environment_ends,
    e.SdkKeyIssued: _key_issued,
    e.SdkKeyOriginsSet: _key_changed,
    e.SdkKeyExpirySet: _key_changed,
    e.SdkKeyRevoked: _key_changed,
    e.FlagCreated: _flag_everywhere,
    e.FlagClientSideExposed: _flag_everywhere,
    e.FlagClientSideHidden: _flag_everywhere,
    e.FlagArchived: _flag_everywhere,
    e.FlagRestored: _flag_everywhere,
    e.FlagDeleted: _flag_everywhere,
    e.VariationsChanged: _flag_everywhere,
    e.FlagEnabled: _flag_here,
    e.FlagDisabled: _flag_here,
    e.OffVariationChanged: _flag_here,
    e.FallthroughChanged: _flag_here,
    e.TargetsChanged: _flag_here,
    e.RuleAdded: _flag_here,
    e.RuleChanged: _flag_here,
    e.RuleRemoved: _flag_here,
    e.RulesReordered: _flag_here,
    e.PrerequisitesChanged: _flag_here,
    e.ExpirySet: _flag_here,
    e.ExpiryCleared: _flag_here,
    e.ExposureTrackingSet: _flag_here,
    e.SegmentCreated: _segment_everywhere,
    e.SegmentMembersAdded: _segment_everywhere,
    e.SegmentMembersRemoved: _segment_everywhere,
    e.SegmentRulesChanged: _segment_everywhere,
    e.SegmentDeleted: _segment_everywhere,
}
"""Every other critical event leaves all documents as they are."""
