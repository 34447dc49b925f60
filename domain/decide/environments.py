"""Decisions on environments."""

from __future__ import annotations

from halyard_protocol.problems import Problem

from domain import limits
from domain.commands import (
    CreateEnvironment,
    DeleteEnvironment,
    NewEnvironment,
    ProtectEnvironment,
    RenameEnvironment,
    SetEnvironmentAttributes,
    SetRequiredApprovals,
    UnprotectEnvironment,
)
from domain.decide.standing import require_room, same
from domain.errors import KeyTaken
from domain.events import (
    EnvironmentAttributesSet,
    EnvironmentCreated,
    EnvironmentDeleted,
    EnvironmentProtected,
    EnvironmentRenamed,
    EnvironmentUnprotected,
    RequiredApprovalsSet,
)
from domain.facts import environment_entity
from domain.names import (
    attributes_problems,
    environment_id_problems,
    name_problems,
    place_key_problems,
    refuse,
)
from domain.state import ProjectState


def created(
    new: NewEnvironment | CreateEnvironment, comment: str, path: str = ""
) -> EnvironmentCreated:
    """The beginning of an environment, with its project (then at ``path``) or later."""
    shown = new.name or new.environment
    refuse(
        place_key_problems(f"{path}/environment", new.environment),
        environment_id_problems(f"{path}/id", new.id),
        name_problems(f"{path}/name", shown),
        attributes_problems(f"{path}/attributes", new.attributes),
    )
    return EnvironmentCreated(new.id, shown, new.protected, new.attributes, comment=comment)


def create(state: ProjectState, command: CreateEnvironment) -> EnvironmentCreated:
    """One more environment."""
    event = created(command, command.comment)
    if command.environment in state.environments:
        raise KeyTaken(environment_entity(command.environment))
    if any(environment.id == command.id for environment in state.environments.values()):
        raise KeyTaken(environment_entity(command.id))
    require_room(state.environments, limits.ENVIRONMENTS, "environments")
    return event


def rename(state: ProjectState, command: RenameEnvironment) -> EnvironmentRenamed | None:
    """Another name."""
    refuse(name_problems("/name", command.name))
    if state.environments[command.environment].name == command.name:
        return None
    return EnvironmentRenamed(command.name, comment=command.comment)


def set_attributes(
    state: ProjectState, command: SetEnvironmentAttributes
) -> EnvironmentAttributesSet | None:
    """Other attributes."""
    refuse(attributes_problems("/attributes", command.attributes))
    if same(state.environments[command.environment].attributes, command.attributes):
        return None
    return EnvironmentAttributesSet(command.attributes, comment=command.comment)


def protect(state: ProjectState, command: ProtectEnvironment) -> EnvironmentProtected | None:
    """From now on changes need a further right."""
    if state.environments[command.environment].protected:
        return None
    return EnvironmentProtected(comment=command.comment)


def unprotect(state: ProjectState, command: UnprotectEnvironment) -> EnvironmentUnprotected | None:
    """From now on changes need no further right."""
    if not state.environments[command.environment].protected:
        return None
    return EnvironmentUnprotected(comment=command.comment)


def set_required_approvals(
    state: ProjectState, command: SetRequiredApprovals
) -> RequiredApprovalsSet | None:
    """Another number of others who must approve."""
    wanted = command.required_approvals
    if not 0 <= wanted <= limits.APPROVALS:
        reason = f"is from 0 to {limits.APPROVALS}, not {wanted}"
        refuse((Problem("/requiredApprovals", reason),))
    if state.environments[command.environment].required_approvals == wanted:
        return None
    return RequiredApprovalsSet(wanted, comment=command.comment)


def delete(_: ProjectState, command: DeleteEnvironment) -> EnvironmentDeleted:
    """The end of it, and of all that is set in it."""
    return EnvironmentDeleted(comment=command.comment)
