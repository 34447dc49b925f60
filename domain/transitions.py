"""From a state to a wanted row: which commands bring an entity there.

A copy, an import and a revert all know how an entity shall be, and ask for it in commands, so that
they are decided, recorded and streamed like anything else. The functions here compare rows and
answer with as few commands as there are parts that differ; equal rows need none. They decide
nothing: whether the commands are accepted is :mod:`domain.decide`'s to say.

Where one entity rests on another, the order matters: variations before what serves them, segments
before rules that name them, prerequisites last. Within one entity it is kept here; across
entities by :mod:`domain.assembly`.

What no command can change stays: the type of a flag (:class:`~domain.errors.OtherType`), the salts
of a flag and a segment, and when they began. The keys of a segment are a set: in which order they
stand does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from halyard_protocol.ruleset import Rule, SegmentKeys
from msgspec.structs import replace

from domain import commands as c
from domain.decide.standing import same
from domain.errors import OtherType, UnknownEntity
from domain.events import MemberList
from domain.facts import Entity
from domain.state import FlagDefinition, FlagSettings, ProjectState, SegmentDefinition


def flag_commands(state: ProjectState, wanted: FlagDefinition) -> tuple[c.Command, ...]:
    """Bring a flag's definition to ``wanted``; create the flag where it is missing.

    Raises :class:`~domain.errors.OtherType`.
    """
    held = state.flags.get(wanted.key)
    return tuple(_begin_flag(wanted) if held is None else _change_flag(held, wanted))


def settings_commands(
    state: ProjectState, flag_key: str, environment_key: str, wanted: FlagSettings
) -> tuple[c.Command, ...]:
    """Bring a flag, as it is set in one environment, to ``wanted``.

    The flag must have every variation that ``wanted`` serves. Raises
    :class:`~domain.errors.UnknownEntity` where the flag or the environment is not there.
    """
    held = state.settings.get((flag_key, environment_key))
    if held is None:
        raise UnknownEntity(Entity("flag", flag_key, environment_key), state.flags)
    return (
        *targeting_steps(flag_key, environment_key, held, wanted),
        *prerequisite_steps(flag_key, environment_key, held, wanted),
    )


def segment_commands(state: ProjectState, wanted: SegmentDefinition) -> tuple[c.Command, ...]:
    """Bring a segment to ``wanted``; create it where it is missing."""
    held = state.segments.get(wanted.key)
    return tuple(_begin_segment(wanted) if held is None else _change_segment(held, wanted))


def pinned(state: ProjectState, project: str, commands: Iterable[c.Command]) -> Iterator[c.Command]:
    """The commands, the first on each entity expecting the revision that the state has of it."""
    seen: set[Entity] = set()
    for command in commands:
        entity = command.addressed(project)
        first = entity not in seen
        seen.add(entity)
        if first and command.expected_revision is None:
            yield replace(command, expected_revision=state.revision(entity))
        else:
            yield command


# -- the definition of a flag --------------------------------------------------------------------


def creation(wanted: FlagDefinition) -> c.CreateFlag:
    """The command that begins such a flag; it is not archived then."""
    return c.CreateFlag(
        wanted.key,
        wanted.name,
        wanted.type,
        wanted.variations,
        wanted.off_variation,
        wanted.fallthrough,
        wanted.description,
        wanted.tags,
        wanted.maintainer,
        wanted.client_side,
        wanted.salt,
    )


def _begin_flag(wanted: FlagDefinition) -> Iterator[c.Command]:
    yield creation(wanted)
    if wanted.archived:
        yield c.ArchiveFlag(wanted.key)


def _change_flag(held: FlagDefinition, wanted: FlagDefinition) -> Iterator[c.Command]:
    steps = (*variation_steps(held, wanted), *description_steps(held, wanted))
    # An archived flag takes no change.
    if held.archived and (steps or not wanted.archived):
        yield c.RestoreFlag(wanted.key)
        held = replace(held, archived_at=None)
    yield from steps
    if wanted.archived and not held.archived:
        yield c.ArchiveFlag(wanted.key)


def variation_steps(held: FlagDefinition, wanted: FlagDefinition) -> Iterator[c.Command]:
    """Bring the variations, and the defaults of new environments, to those of ``wanted``."""
    if held.type != wanted.type:
        raise OtherType(wanted.key, held.type, wanted.type)
    parts = ("variations", "off_variation", "fallthrough")
    if not all(same(getattr(held, part), getattr(wanted, part)) for part in parts):
        yield c.ChangeVariations(
            wanted.key, wanted.variations, wanted.off_variation, wanted.fallthrough
        )


def description_steps(held: FlagDefinition, wanted: FlagDefinition) -> Iterator[c.Command]:
    """Bring everything else to that of ``wanted``, but not whether it is archived."""
    key = wanted.key
    if held.name != wanted.name:
        yield c.RenameFlag(key, wanted.name)
    if held.description != wanted.description:
        yield c.DescribeFlag(key, wanted.description)
    if held.tags != wanted.tags:
        yield c.TagFlag(key, wanted.tags)
    if held.maintainer != wanted.maintainer:
        yield c.AssignMaintainer(key, wanted.maintainer)
    if held.client_side != wanted.client_side:
        yield c.ExposeClientSide(key) if wanted.client_side else c.HideClientSide(key)


# -- the settings of a flag ----------------------------------------------------------------------


def targeting_steps(
    flag: str, environment: str, held: FlagSettings, wanted: FlagSettings
) -> Iterator[c.Command]:
    """Bring settings to ``wanted`` in all but their prerequisites.

    What switches the flag off goes before everything else, what switches it on after.
    """
    if held.enabled and not wanted.enabled:
        yield c.DisableFlag(flag, environment)
    if held.off_variation != wanted.off_variation:
        yield c.ChangeOffVariation(flag, environment, wanted.off_variation)
    if not same(held.fallthrough, wanted.fallthrough):
        yield c.ChangeFallthrough(flag, environment, wanted.fallthrough)
    if not same(held.targets, wanted.targets):
        yield c.ChangeTargets(flag, environment, wanted.targets)
    yield from _rule_steps(flag, environment, held.rules, wanted.rules)
    if held.expires_at != wanted.expires_at:
        if wanted.expires_at is None:
            yield c.ClearExpiry(flag, environment)
        else:
            yield c.SetExpiry(flag, environment, wanted.expires_at)
    if held.track_exposures != wanted.track_exposures:
        yield c.SetExposureTracking(flag, environment, wanted.track_exposures)
    if wanted.enabled and not held.enabled:
        yield c.EnableFlag(flag, environment)


def prerequisite_steps(
    flag: str, environment: str, held: FlagSettings, wanted: FlagSettings
) -> Iterator[c.Command]:
    """Bring the prerequisites to those of ``wanted``."""
    if held.prerequisites != wanted.prerequisites:
        yield c.ChangePrerequisites(flag, environment, wanted.prerequisites)


def _rule_steps(
    flag: str, environment: str, held: tuple[Rule, ...], wanted: tuple[Rule, ...]
) -> Iterator[c.Command]:
    """Removals first, for the bound on rules; then each new rule at its place, in order."""
    before = {rule.id: rule for rule in held}
    after = {rule.id: rule for rule in wanted}
    for rule_id in before:
        if rule_id not in after:
            yield c.RemoveRule(flag, environment, rule_id)
    for index, rule in enumerate(wanted):
        if rule.id not in before:
            yield c.AddRule(flag, environment, rule, index)
        elif not same(before[rule.id], rule):
            yield c.ChangeRule(flag, environment, rule)
    if [key for key in before if key in after] != [key for key in after if key in before]:
        yield c.ReorderRules(flag, environment, tuple(after))


# -- segments ------------------------------------------------------------------------------------


def _begin_segment(wanted: SegmentDefinition) -> Iterator[c.Command]:
    yield c.CreateSegment(
        wanted.key,
        wanted.name,
        wanted.description,
        wanted.included,
        wanted.excluded,
        wanted.rules,
        wanted.salt,
    )


def _change_segment(held: SegmentDefinition, wanted: SegmentDefinition) -> Iterator[c.Command]:
    key = wanted.key
    if held.name != wanted.name:
        yield c.RenameSegment(key, wanted.name)
    if held.description != wanted.description:
        yield c.DescribeSegment(key, wanted.description)
    yield from _member_steps(held, wanted)
    if not same(held.rules, wanted.rules):
        yield c.ChangeSegmentRules(key, wanted.rules)


def _member_steps(held: SegmentDefinition, wanted: SegmentDefinition) -> Iterator[c.Command]:
    """Removals first: a key is never in both lists, and their size is bounded together."""
    lists: tuple[MemberList, ...] = ("included", "excluded")
    before = {members: members_by_kind(getattr(held, members)) for members in lists}
    after = {members: members_by_kind(getattr(wanted, members)) for members in lists}
    for members in lists:
        for kind, keys in _less(before[members], after[members]):
            yield c.RemoveSegmentMembers(wanted.key, keys, members, kind)
    for members in lists:
        for kind, keys in _less(after[members], before[members]):
            yield c.AddSegmentMembers(wanted.key, keys, members, kind)


def members_by_kind(lists: tuple[SegmentKeys, ...]) -> dict[str, dict[str, None]]:
    """The keys of one list of a segment by their context kind, in their order."""
    return {held.kind: dict.fromkeys(held.keys) for held in lists}


def _less(
    some: dict[str, dict[str, None]], others: dict[str, dict[str, None]]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    for kind, keys in some.items():
        left = tuple(key for key in keys if key not in others.get(kind, ()))
        if left:
            yield kind, left
