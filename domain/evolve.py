"""Folding facts into a project's state: what each event means.

Every event type has one entry in one of the tables below; most say how one row changes. The fold
is total over what ``decide`` accepts, and never refuses: a fact has already happened.

A rebuild spends most of its time here, so rows are replaced without copying what they hold.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

from halyard_protocol.ruleset import SegmentKeys
from msgspec.structs import replace

from domain import events as e
from domain.change_request_folds import CHANGE_REQUEST_FOLDS
from domain.facts import Entity, Fact
from domain.state import (
    Environment,
    FlagDefinition,
    FlagSettings,
    Mark,
    Project,
    ProjectState,
    SdkKey,
    SegmentDefinition,
)
from domain.stored import Stored
from domain.webhook_folds import WEBHOOK_FOLDS

Fold: TypeAlias = Callable[[ProjectState, Entity, Any, datetime], None]
"""Changes a state by an event that happened to an entity at an instant."""


class CannotFold(Exception):
    """An event names what its log does not have: the log is damaged, or was read with a gap."""

    def __init__(self, event: str, entity: Entity, seq: int) -> None:
        self.event = event
        self.entity = entity
        self.seq = seq
        super().__init__(f"{event} at seq {seq} does not fit: {entity} is not as it says")


def evolve(state: ProjectState, fact: Fact[e.Event], seq: int, at: datetime) -> None:
    """Fold the fact recorded at ``seq`` and ``at`` into ``state``, in place.

    Raises :class:`CannotFold`, after which the state is of no further use.
    """
    event, entity = fact.event, fact.entity
    state.marks.put(entity, Mark(fact.revision, seq, at))
    try:
        FOLDS[type(event)](state, entity, event, at)
    except (KeyError, StopIteration) as error:
        raise CannotFold(type(event).__name__, entity, seq) from error


def pass_over(state: ProjectState, entity: Entity, revision: int, seq: int, at: datetime) -> None:
    """Count an event that is not folded: one that was voided, or unknown and not critical."""
    state.marks.put(entity, Mark(revision, seq, at))


def _place(entity: Entity) -> tuple[str, str]:
    return entity.key, entity.environment or ""


def _change_settings(change: Callable[[FlagSettings, Any], FlagSettings]) -> Fold:
    def fold(state: ProjectState, entity: Entity, event: object, _: datetime) -> None:
        key = _place(entity)
        state.settings.put(key, change(state.settings[key], event))

    return fold


def _change_flag(change: Callable[[FlagDefinition, Any], FlagDefinition]) -> Fold:
    def fold(state: ProjectState, entity: Entity, event: object, _: datetime) -> None:
        state.flags.put(entity.key, change(state.flags[entity.key], event))

    return fold


def _change_environment(change: Callable[[Environment, Any], Environment]) -> Fold:
    def fold(state: ProjectState, entity: Entity, event: object, _: datetime) -> None:
        state.environments.put(entity.key, change(state.environments[entity.key], event))

    return fold


def _change_segment(change: Callable[[SegmentDefinition, Any], SegmentDefinition]) -> Fold:
    def fold(state: ProjectState, entity: Entity, event: object, _: datetime) -> None:
        state.segments.put(entity.key, change(state.segments[entity.key], event))

    return fold


# -- the project, its environments and keys ------------------------------------------------------


def _project_created(
    state: ProjectState, entity: Entity, event: e.ProjectCreated, at: datetime
) -> None:
    state.project = Project(entity.key, event.name, at)


def _project_renamed(
    state: ProjectState, entity: Entity, event: e.ProjectRenamed, _: datetime
) -> None:
    if state.project is None:
        raise KeyError(entity.key)
    state.project = replace(state.project, name=event.name)


def _project_deleted(
    state: ProjectState, _entity: Entity, _event: e.ProjectDeleted, _: datetime
) -> None:
    state.project = None
    for table in (
        state.environments,
        state.keys,
        state.flags,
        state.settings,
        state.segments,
        state.webhooks,
        state.change_requests,
    ):
        table.clear()


def _event_voided(state: ProjectState, _: Entity, event: e.EventVoided, _at: datetime) -> None:
    state.voided.put(event.seq, event.reason)


def _environment_created(
    state: ProjectState, entity: Entity, event: e.EnvironmentCreated, at: datetime
) -> None:
    key = entity.key
    environment = Environment(key, event.id, event.name, event.protected, event.attributes, at)
    state.environments.put(key, environment)
    for flag_key, flag in list(state.flags.items()):
        state.settings.put((flag_key, key), initial_settings(flag))


def _environment_deleted(
    state: ProjectState, entity: Entity, _: e.EnvironmentDeleted, _at: datetime
) -> None:
    state.environments.remove(entity.key)
    for flag in state.flags:
        state.settings.remove((flag, entity.key))
    for key in [key for key in state.keys if key[1] == entity.key]:
        state.keys.remove(key)


def _sdk_key_issued(
    state: ProjectState, entity: Entity, event: e.SdkKeyIssued, at: datetime
) -> None:
    place = _place(entity)
    key = SdkKey(*place, event.kind, event.name, event.sha256, event.client_key, at)
    state.keys.put(place, replace(key, origins=event.origins))


def _sdk_key_origins_set(
    state: ProjectState, entity: Entity, event: e.SdkKeyOriginsSet, _: datetime
) -> None:
    place = _place(entity)
    state.keys.put(place, replace(state.keys[place], origins=event.origins))


def _sdk_key_expiry_set(
    state: ProjectState, entity: Entity, event: e.SdkKeyExpirySet, _: datetime
) -> None:
    place = _place(entity)
    state.keys.put(place, replace(state.keys[place], expires_at=event.expires_at))


def _sdk_key_revoked(state: ProjectState, entity: Entity, _: e.SdkKeyRevoked, at: datetime) -> None:
    place = _place(entity)
    state.keys.put(place, replace(state.keys[place], revoked_at=at))


# -- flags ---------------------------------------------------------------------------------------


def initial_settings(flag: FlagDefinition) -> FlagSettings:
    """How a flag is set in an environment that is new to it."""
    return FlagSettings(False, flag.off_variation, flag.fallthrough)


def _flag_created(state: ProjectState, entity: Entity, event: e.FlagCreated, at: datetime) -> None:
    flag = FlagDefinition(
        entity.key,
        event.name,
        event.type,
        event.variations,
        event.off_variation,
        event.fallthrough,
        event.salt,
        event.description,
        event.tags,
        event.maintainer,
        event.client_side,
        at,
    )
    state.flags.put(entity.key, flag)
    settings = initial_settings(flag)
    for environment in state.environments:
        state.settings.put((entity.key, environment), settings)


def _flag_deleted(state: ProjectState, entity: Entity, _: e.FlagDeleted, _at: datetime) -> None:
    state.flags.remove(entity.key)
    for environment in state.environments:
        state.settings.remove((entity.key, environment))


def _flag_archived(state: ProjectState, entity: Entity, _: e.FlagArchived, at: datetime) -> None:
    state.flags.put(entity.key, replace(state.flags[entity.key], archived_at=at))


def _variations_changed(flag: FlagDefinition, event: e.VariationsChanged) -> FlagDefinition:
    return replace(
        flag,
        variations=event.variations,
        off_variation=event.off_variation,
        fallthrough=event.fallthrough,
    )


def _rule_added(settings: FlagSettings, event: e.RuleAdded) -> FlagSettings:
    rules, at = settings.rules, event.position
    return replace(settings, rules=(*rules[:at], event.rule, *rules[at:]))


def _rule_changed(settings: FlagSettings, event: e.RuleChanged) -> FlagSettings:
    at = next(index for index, rule in enumerate(settings.rules) if rule.id == event.rule.id)
    rules = settings.rules
    return replace(settings, rules=(*rules[:at], event.rule, *rules[at + 1 :]))


def _rule_removed(settings: FlagSettings, event: e.RuleRemoved) -> FlagSettings:
    return replace(settings, rules=tuple(r for r in settings.rules if r.id != event.rule))


def _rules_reordered(settings: FlagSettings, event: e.RulesReordered) -> FlagSettings:
    by_id = {rule.id: rule for rule in settings.rules}
    return replace(settings, rules=tuple(by_id[rule] for rule in event.order))


# -- segments ------------------------------------------------------------------------------------


def _segment_created(
    state: ProjectState, entity: Entity, event: e.SegmentCreated, at: datetime
) -> None:
    segment = SegmentDefinition(
        entity.key,
        event.name,
        event.description,
        event.included,
        event.excluded,
        event.rules,
        event.salt,
        at,
    )
    state.segments.put(entity.key, segment)


def _segment_deleted(
    state: ProjectState, entity: Entity, _: e.SegmentDeleted, _at: datetime
) -> None:
    state.segments.remove(entity.key)


def _with_members(
    segment: SegmentDefinition, members: e.MemberList, lists: tuple[SegmentKeys, ...]
) -> SegmentDefinition:
    if members == "included":
        return replace(segment, included=lists)
    return replace(segment, excluded=lists)


def _members_added(segment: SegmentDefinition, event: e.SegmentMembersAdded) -> SegmentDefinition:
    lists: tuple[SegmentKeys, ...] = getattr(segment, event.members)
    if any(held.kind == event.kind for held in lists):
        grown = tuple(
            SegmentKeys(held.kind, held.keys + event.keys) if held.kind == event.kind else held
            for held in lists
        )
    else:
        grown = (*lists, SegmentKeys(event.kind, event.keys))
    return _with_members(segment, event.members, grown)


def _members_removed(
    segment: SegmentDefinition, event: e.SegmentMembersRemoved
) -> SegmentDefinition:
    lists: tuple[SegmentKeys, ...] = getattr(segment, event.members)
    gone = frozenset(event.keys)
    shrunk = tuple(
        SegmentKeys(held.kind, tuple(key for key in held.keys if key not in gone))
        if held.kind == event.kind
        else held
        for held in lists
    )
    return _with_members(segment, event.members, tuple(held for held in shrunk if held.keys))


FOLDS: dict[type[Stored], Fold] = {
    e.ProjectCreated: _project_created,
    e.ProjectRenamed: _project_renamed,
    e.ProjectDeleted: _project_deleted,
    e.EventVoided: _event_voided,
    e.EnvironmentCreated: _environment_created,
    e.EnvironmentRenamed: _change_environment(lambda row, event: replace(row, name=event.name)),
    e.EnvironmentAttributesSet: _change_environment(
        lambda row, event: replace(row, attributes=event.attributes)
    ),
    e.EnvironmentProtected: _change_environment(lambda row, _: replace(row, protected=True)),
    e.EnvironmentUnprotected: _change_environment(lambda row, _: replace(row, protected=False)),
    e.RequiredApprovalsSet: _change_environment(
        lambda row, event: replace(row, required_approvals=event.approvals)
    ),
    e.EnvironmentDeleted: _environment_deleted,
    e.SdkKeyIssued: _sdk_key_issued,
    e.SdkKeyOriginsSet: _sdk_key_origins_set,
    e.SdkKeyExpirySet: _sdk_key_expiry_set,
    e.SdkKeyRevoked: _sdk_key_revoked,
    e.FlagCreated: _flag_created,
    e.FlagRenamed: _change_flag(lambda row, event: replace(row, name=event.name)),
    e.FlagDescribed: _change_flag(lambda row, event: replace(row, description=event.description)),
    e.FlagTagged: _change_flag(lambda row, event: replace(row, tags=event.tags)),
    e.FlagMaintainerAssigned: _change_flag(
        lambda row, event: replace(row, maintainer=event.maintainer)
    ),
    e.FlagClientSideExposed: _change_flag(lambda row, _: replace(row, client_side=True)),
    e.FlagClientSideHidden: _change_flag(lambda row, _: replace(row, client_side=False)),
    e.FlagArchived: _flag_archived,
    e.FlagRestored: _change_flag(lambda row, _: replace(row, archived_at=None)),
    e.FlagDeleted: _flag_deleted,
    e.VariationsChanged: _change_flag(_variations_changed),
    e.FlagEnabled: _change_settings(lambda row, _: replace(row, enabled=True)),
    e.FlagDisabled: _change_settings(lambda row, _: replace(row, enabled=False)),
    e.OffVariationChanged: _change_settings(
        lambda row, event: replace(row, off_variation=event.off_variation)
    ),
    e.FallthroughChanged: _change_settings(
        lambda row, event: replace(row, fallthrough=event.fallthrough)
    ),
    e.TargetsChanged: _change_settings(lambda row, event: replace(row, targets=event.targets)),
    e.RuleAdded: _change_settings(_rule_added),
    e.RuleChanged: _change_settings(_rule_changed),
    e.RuleRemoved: _change_settings(_rule_removed),
    e.RulesReordered: _change_settings(_rules_reordered),
    e.PrerequisitesChanged: _change_settings(
        lambda row, event: replace(row, prerequisites=event.prerequisites)
    ),
    e.ExpirySet: _change_settings(lambda row, event: replace(row, expires_at=event.expires_at)),
    e.ExpiryCleared: _change_settings(lambda row, _: replace(row, expires_at=None)),
    e.ExposureTrackingSet: _change_settings(
        lambda row, event: replace(row, track_exposures=event.enabled)
    ),
    e.SegmentCreated: _segment_created,
    e.SegmentRenamed: _change_segment(lambda row, event: replace(row, name=event.name)),
    e.SegmentDescribed: _change_segment(
        lambda row, event: replace(row, description=event.description)
    ),
    e.SegmentMembersAdded: _change_segment(_members_added),
    e.SegmentMembersRemoved: _change_segment(_members_removed),
    e.SegmentRulesChanged: _change_segment(lambda row, event: replace(row, rules=event.rules)),
    e.SegmentDeleted: _segment_deleted,
    **WEBHOOK_FOLDS,
    **CHANGE_REQUEST_FOLDS,
}
"""What each event type does."""
