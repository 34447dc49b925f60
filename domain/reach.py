"""In which environments a command changes, or may change, what is served.

Who may do a thing may do it in some environments and not in others. A command on a flag in one
environment names it; of the others, this says which environments it reaches:

    command                                                reaches
    on a flag in an environment                            that environment
    issue, change, revoke an SDK key                       its environment
    rename an environment, set its attributes, delete it   that environment
    set how many approvals it asks for                     that environment
    create, protect, unprotect an environment              every one; the new one, too
    rename, delete a project; void an event                every one
    create a project                                       none: its environments are its own
    create, rename, describe, tag a flag; its maintainer   none
    change a flag's variations                             where a changed one can be served, or is
                                                           what another flag asks for
    expose a flag to client keys, hide it from them        where it is enabled
    archive, restore, delete a flag                        every one
    create, rename, describe a segment                     none
    change a segment's members or rules                    where a rule of a flag rests on it,
                                                           through other segments, too
    delete a segment                                       every one
    approve of a change request, reject it                 what the commands in it reach
    on a webhook; else on a change request                 none: it is the project's

An archived flag is served nowhere, so it is left out of what is looked at. A flag that is disabled
counts for segments, because enabling it should bring no surprise, but serves its off variation
alone. What reaches no environment still asks for the right in one at least.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias, assert_never

from halyard_protocol.codec import encode

from domain import commands as c
from domain.asked import OnChangeRequest, OnKey, OnSettings, OnWebhook
from domain.change_request_commands import ApproveChangeRequest, RejectChangeRequest
from domain.completing import held_commands
from domain.references import segments_in, segments_of_rules, variations_in
from domain.state import FlagSettings, ProjectState

_NOWHERE: frozenset[str] = frozenset()

_OfServed: TypeAlias = (
    c.ChangeVariations
    | c.ExposeClientSide
    | c.HideClientSide
    | c.AddSegmentMembers
    | c.RemoveSegmentMembers
    | c.ChangeSegmentRules
)


def affected_environments(state: ProjectState, command: c.Command) -> frozenset[str]:
    """The keys of the environments that a command reaches, as the table above says.

    Total: what the command addresses need not be there. A key that it names need not be an
    environment of the state.
    """
    match command:
        case OnSettings() | OnKey():
            return frozenset((command.environment,))
        case (
            c.RenameEnvironment()
            | c.SetEnvironmentAttributes()
            | c.SetRequiredApprovals()
            | c.DeleteEnvironment()
        ):
            return frozenset((command.environment,))
        case ApproveChangeRequest() | RejectChangeRequest():
            return _of_held(state, command.change_request)
        case c.CreateEnvironment():
            return frozenset((*state.environments, command.environment))
        case (
            c.RenameProject()
            | c.DeleteProject()
            | c.VoidEvent()
            | c.ProtectEnvironment()
            | c.UnprotectEnvironment()
            | c.ArchiveFlag()
            | c.RestoreFlag()
            | c.DeleteFlag()
            | c.DeleteSegment()
        ):
            return frozenset(state.environments)
        case (
            c.CreateProject()
            | c.CreateFlag()
            | c.RenameFlag()
            | c.DescribeFlag()
            | c.TagFlag()
            | c.AssignMaintainer()
            | c.CreateSegment()
            | c.RenameSegment()
            | c.DescribeSegment()
            | OnWebhook()
            | OnChangeRequest()
        ):
            return _NOWHERE
        case _:
            return _where_served(state, command)


def is_protected(state: ProjectState, command: c.Command, environment: str) -> bool:
    """Whether an environment that a command reaches is protected before it, or begins so."""
    row = state.environments.get(environment)
    if row is not None:
        return row.protected
    return isinstance(command, c.CreateEnvironment) and command.protected


def _where_served(state: ProjectState, command: _OfServed) -> frozenset[str]:
    match command:
        case c.ChangeVariations():
            return frozenset(_serving_changed(state, command))
        case c.ExposeClientSide() | c.HideClientSide():
            rows = _settings_of(state, command.flag)
            return frozenset(environment for environment, row in rows if row.enabled)
        case c.AddSegmentMembers() | c.RemoveSegmentMembers() | c.ChangeSegmentRules():
            return _using(state, command.segment)
        case _:
            assert_never(command)


def _of_held(state: ProjectState, request: str) -> frozenset[str]:
    row = state.change_requests.get(request)
    commands = () if row is None else held_commands(row.commands)
    return _NOWHERE.union(*(affected_environments(state, command) for command in commands))


def _settings_of(state: ProjectState, flag: str) -> Iterator[tuple[str, FlagSettings]]:
    """How a flag is set where; nothing of one that is archived, or not there."""
    definition = state.flags.get(flag)
    if definition is not None and not definition.archived:
        for environment in state.environments:
            yield environment, state.settings[flag, environment]


def _serving_changed(state: ProjectState, command: c.ChangeVariations) -> Iterator[str]:
    changed = _changed_variations(state, command)
    if changed:
        for environment, row in _settings_of(state, command.flag):
            if not changed.isdisjoint(_served(row)):
                yield environment
        yield from _asked_for(state, command.flag, changed)


def _changed_variations(state: ProjectState, command: c.ChangeVariations) -> frozenset[str]:
    """Those that yield another value from now on, or go."""
    definition = state.flags.get(command.flag)
    if definition is None:
        return _NOWHERE
    to_be = {variation.key: variation for variation in command.variations}
    return frozenset(
        before.key
        for before in definition.variations
        if before.key not in to_be or encode(before.value) != encode(to_be[before.key].value)
    )


def _served(row: FlagSettings) -> Iterator[str]:
    """The variations that somebody can get."""
    if row.off_variation is not None:
        yield row.off_variation
    if row.enabled:
        yield from variations_in(row.fallthrough)
        yield from (target.variation for target in row.targets)
        for rule in row.rules:
            yield from variations_in(rule.serve)


def _asked_for(state: ProjectState, flag: str, changed: frozenset[str]) -> Iterator[str]:
    """Where another flag asks for one of a flag's variations."""
    for (dependent, environment), row in state.settings.items():
        for prerequisite in row.prerequisites:
            is_it = prerequisite.flag == flag and not changed.isdisjoint(prerequisite.variations)
            if is_it and not state.flags[dependent].archived:
                yield environment


def _using(state: ProjectState, segment: str) -> frozenset[str]:
    """Where a rule of a flag names a segment, or one that rests on it."""
    resting = _resting_on(state, segment)
    found: set[str] = set()
    for (flag, environment), row in state.settings.items():
        if not row.rules or environment in found or state.flags[flag].archived:
            continue
        if any(not resting.isdisjoint(segments_in(rule.when)) for rule in row.rules):
            found.add(environment)
    return frozenset(found)


def _resting_on(state: ProjectState, segment: str) -> frozenset[str]:
    """The segment, and every one whose rules lead to it."""
    named = {key: frozenset(segments_of_rules(row.rules)) for key, row in state.segments.items()}
    return frozenset(_upward({segment}, named.items()))


def _upward(found: set[str], named: Iterable[tuple[str, frozenset[str]]]) -> set[str]:
    ahead = [*found]
    while ahead:
        here = ahead.pop()
        for key, links in named:
            if here in links and key not in found:
                found.add(key)
                ahead.append(key)
    return found
