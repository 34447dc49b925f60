"""From a project's state to what a document says: a plan of commands.

The order is :mod:`domain.assembly`'s. The commands are decided here as they are made, on an
overlay, so that what changes nothing is left out, and what stands against the document is found at
once and not one by one. That is a plan: the log's writer decides once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TypeAlias

import msgspec
from halyard_protocol.problems import Problem
from msgspec.structs import replace

from domain import commands as c
from domain.asked import Asked, OnEnvironment, OnFlag, OnSegment, OnSettings
from domain.assembly import Wanted, assembly_commands
from domain.decide import decide
from domain.errors import LimitReached, NotPermitted, OtherType, Refusal
from domain.evolve import evolve
from domain.exported import ProjectExport
from domain.facts import Entity, Issuer
from domain.limits import IMPORT_COMMANDS, IMPORT_ENDINGS
from domain.state import FlagDefinition, ProjectState

MAX_REFUSALS = 100
"""So many, and the rest is not looked for."""

_ENDINGS = (c.DeleteFlag, c.ArchiveFlag, c.DeleteSegment)
"""Each looks through all others for who rests on it."""


Permit: TypeAlias = Callable[[ProjectState, c.Command], None]
"""Raises :class:`~domain.errors.NotPermitted` where a command may not be carried out on a state."""


class EntityChange(msgspec.Struct, frozen=True):
    """What becomes of one entity: the types of its events, in order."""

    entity: Entity
    events: tuple[str, ...]


class ImportPlan(msgspec.Struct, frozen=True):
    """What an import does, or what stands against it."""

    commands: tuple[c.Command, ...]
    """None where the project is as the document says. The first on each entity expects the
    revision that was seen: where somebody is faster, nothing of the import happens. Those of a
    project that is begun expect none: that it is not there is enough."""
    changes: tuple[EntityChange, ...]
    refusals: tuple[Problem, ...]
    """With pointers into the document; where there is one, the commands are of no use."""


class _Enough(Exception):
    """The plan has come far enough to know that it comes to nothing."""


def plan_import(
    state: ProjectState,
    document: ProjectExport,
    by: Issuer,
    new_id: c.NewId,
    *,
    prune: bool = False,
    permit: Permit = lambda _state, _command: None,
) -> ImportPlan:
    """Plan to bring ``state`` to what ``document`` says; to begin the project where it is missing.

    No key may stand in the document twice. What it does not name stays; with ``prune`` it ends.
    ``permit`` is asked of each command that would change something, on the state before it; what it
    raises goes through, and before anything is told that stands against the command otherwise.
    """
    plan = _Plan(state, document, by, new_id, permit)
    with suppress(_Enough):
        plan.make(prune=prune)
    changes = tuple(EntityChange(entity, tuple(types)) for entity, types in plan.changes.items())
    return ImportPlan(tuple(plan.commands), changes, tuple(plan.refusals))


class _Plan:
    def __init__(
        self,
        state: ProjectState,
        document: ProjectExport,
        by: Issuer,
        new_id: c.NewId,
        permit: Permit,
    ) -> None:
        self._state = state
        self._view = state.overlay()
        self._document = document
        self._by = by
        self._new_id = new_id
        self._permit = permit
        self._flags = {flag.key: index for index, flag in enumerate(document.flags)}
        self._segments = {each.key: index for index, each in enumerate(document.segments)}
        self._environments = {each.key: n for n, each in enumerate(document.environments)}
        self._endings = 0
        self.commands: list[c.Command] = []
        self.changes: dict[Entity, list[str]] = {}
        self.refusals: list[Problem] = []

    def make(self, *, prune: bool) -> None:
        """All of it, or until it is known to come to nothing."""
        for command in self._project():
            self._do(command)
        if self._view.project is None:
            raise _Enough
        if prune:
            for key in sorted(set(self._view.environments) - self._environments.keys()):
                self._do(c.DeleteEnvironment(key))
        for command in self._of_environments():
            self._do(command)
        for command in assembly_commands(self._view, self._wanted(prune=prune)):
            self._do(command)
        # At last: from then on what comes before would need them.
        for wanted in self._document.environments:
            row = self._view.environments.get(wanted.key)
            if row is not None and row.required_approvals != wanted.required_approvals:
                self._do(c.SetRequiredApprovals(wanted.key, wanted.required_approvals))

    def _do(self, command: c.Command) -> None:
        """Decide one command. Where it is refused, that is noted with its place."""
        try:
            self._decide(c.complete(command, self._new_id))
        except NotPermitted:
            raise
        except Refusal as refusal:
            self._note(self._place(command), str(refusal))
            if isinstance(refusal, LimitReached):
                raise _Enough from refusal

    def _decide(self, command: c.Command) -> None:
        entity = command.addressed(self._document.project.key)
        if entity not in self.changes and self._state.project is not None:
            command = replace(command, expected_revision=self._state.revision(entity))
        self._endings += isinstance(command, _ENDINGS)
        if self._endings > IMPORT_ENDINGS:
            raise LimitReached("deletions and archivings in one import", IMPORT_ENDINGS)
        try:
            facts = decide(self._view, command, self._by)
        except Refusal:
            self._permit(self._view, command)
            raise
        if facts:
            self._permit(self._view, command)
        if facts and len(self.commands) >= IMPORT_COMMANDS:
            raise LimitReached("commands in one import", IMPORT_COMMANDS)
        for fact in facts:
            evolve(self._view, fact, 0, self._by.now)
            self.changes.setdefault(fact.entity, []).append(type(fact.event).__name__)
        if facts:
            self.commands.append(command)

    def _note(self, place: str, reason: str) -> None:
        self.refusals.append(Problem(place, reason))
        if len(self.refusals) >= MAX_REFUSALS:
            raise _Enough

    def _place(self, command: Asked) -> str:
        """Where in the document it says so; of what is not named there, where it would be."""
        match command:
            case OnSettings(flag=flag, environment=environment):
                return f"/flags/{self._flags[flag]}/environments/{environment}"
            case OnFlag(flag=flag):
                return f"/flags/{self._flags[flag]}" if flag in self._flags else "/flags"
            case OnSegment(segment=segment):
                index = self._segments.get(segment)
                return "/segments" if index is None else f"/segments/{index}"
            case OnEnvironment(environment=environment):
                index = self._environments.get(environment)
                return "/environments" if index is None else f"/environments/{index}"
            case _:
                return "/project"

    # -- what is wanted --------------------------------------------------------------------------

    def _project(self) -> Iterator[c.Command]:
        project, held = self._document.project, self._state.project
        if held is None:
            environments = tuple(
                c.NewEnvironment(each.key, each.name, each.protected, each.attributes)
                for each in self._document.environments
            )
            yield c.CreateProject(project.key, project.name, environments)
        else:
            yield c.RenameProject(project.name)

    def _of_environments(self) -> Iterator[c.Command]:
        for wanted in self._document.environments:
            key = wanted.key
            if key not in self._view.environments:
                yield c.CreateEnvironment(key, wanted.name, wanted.protected, wanted.attributes)
                continue
            # What is so already is not asked for: it might need approvals, to no end.
            row = self._view.environments[key]
            if row.name != wanted.name:
                yield c.RenameEnvironment(key, wanted.name)
            if row.attributes != wanted.attributes:
                yield c.SetEnvironmentAttributes(key, wanted.attributes)
            if row.protected != wanted.protected:
                yield c.ProtectEnvironment(key) if wanted.protected else c.UnprotectEnvironment(key)

    def _wanted(self, *, prune: bool) -> Wanted:
        """What can be: the rest is noted as refused."""
        at, view = self._by.now, self._view
        flags = tuple(
            row for flag in self._document.flags if self._of_its_type(row := flag.row(at))
        )
        possible = {flag.key for flag in flags}
        return Wanted(
            tuple(segment.row(at) for segment in self._document.segments),
            flags,
            {
                (flag.key, environment): settings.row
                for flag in self._document.flags
                for environment, settings in flag.environments.items()
                if flag.key in possible and self._is_there(flag.key, environment)
            },
            frozenset(view.flags) - self._flags.keys() if prune else frozenset(),
            frozenset(view.segments) - self._segments.keys() if prune else frozenset(),
        )

    def _of_its_type(self, wanted: FlagDefinition) -> bool:
        held = self._view.flags.get(wanted.key)
        if held is None or held.type == wanted.type:
            return True
        refusal = OtherType(wanted.key, held.type, wanted.type)
        self._note(f"/flags/{self._flags[wanted.key]}", str(refusal))
        return False

    def _is_there(self, flag: str, environment: str) -> bool:
        if environment in self._view.environments:
            return True
        place = f"/flags/{self._flags[flag]}/environments/{environment}"
        self._note(place, f"environment '{environment}' is not there")
        return False
