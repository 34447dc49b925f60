"""Decisions on the project itself."""

from __future__ import annotations

from halyard_protocol.problems import Problem, Problems, count_problems, repeat_problems

from domain import limits
from domain.commands import (
    CreateProject,
    DeleteProject,
    NewEnvironment,
    RenameProject,
    VoidEvent,
)
from domain.decide.environments import created
from domain.errors import KeyTaken
from domain.events import Event, EventVoided, ProjectCreated, ProjectDeleted, ProjectRenamed
from domain.facts import Entity, Fact, environment_entity
from domain.names import name_problems, place_key_problems, reason_problems, refuse
from domain.state import ProjectState


def create(state: ProjectState, command: CreateProject) -> tuple[Fact[Event], ...]:
    """The project, then each of its environments."""
    entity = Entity("project", command.project)
    if state.project is not None:
        raise KeyTaken(entity)
    _check(command)
    event = ProjectCreated(command.name or command.project, comment=command.comment)
    environments = (
        _begin(state, new, command.comment, f"/environments/{index}")
        for index, new in enumerate(command.environments)
    )
    return (Fact(event, entity, state.revision(entity) + 1), *environments)


def _check(command: CreateProject) -> None:
    news = command.environments
    refuse(
        place_key_problems("/project", command.project),
        name_problems("/name", command.name or command.project),
        count_problems("/environments", news, limits.ENVIRONMENTS, "environments"),
        repeat_problems("/environments", [each.environment for each in news], "environment"),
        repeat_problems("/environments", [each.id for each in news], "id", "/id"),
    )


def _begin(state: ProjectState, new: NewEnvironment, comment: str, path: str) -> Fact[Event]:
    entity = environment_entity(new.environment)
    return Fact(created(new, comment, path), entity, state.revision(entity) + 1)


def rename(state: ProjectState, command: RenameProject) -> ProjectRenamed | None:
    """Another name."""
    refuse(name_problems("/name", command.name))
    if state.project is not None and state.project.name == command.name:
        return None
    return ProjectRenamed(command.name, comment=command.comment)


def delete(_: ProjectState, command: DeleteProject) -> ProjectDeleted:
    """The end of it."""
    return ProjectDeleted(comment=command.comment)


def void(state: ProjectState, command: VoidEvent) -> EventVoided | None:
    """Pass over an event. That none can apply it is for the caller to know."""
    refuse(_seq_problems(command.seq), reason_problems("/reason", command.reason))
    if command.seq in state.voided:
        return None
    return EventVoided(command.seq, command.reason, comment=command.comment)


def _seq_problems(seq: int) -> Problems:
    if seq < 1:
        yield Problem("/seq", "the seq of an event is 1 or greater")
