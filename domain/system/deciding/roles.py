"""Custom roles, and who has which role where."""

from __future__ import annotations

from collections.abc import Iterator

from halyard_protocol.limits import MAX_NAME_LENGTH
from halyard_protocol.problems import Problem, Problems, count_problems, hint, text_problems

from domain import limits
from domain.errors import (
    InvalidCommand,
    KeyTaken,
    LastAdministrator,
    LimitReached,
    StillInUse,
    UnknownEntity,
    Use,
)
from domain.facts import Entity
from domain.names import name_problems, place_key_problems, refuse
from domain.system import commands as c
from domain.system import events as e
from domain.system.permissions import ADMIN, BUILT_IN, permission_problems
from domain.system.state import Account, Group, SystemState, role_in
from domain.system.vocabulary import EVERYWHERE, UNPROTECTED, Grant


def known_role(state: SystemState, role: str, *, optional: bool = False) -> None:
    """Raises :class:`InvalidCommand` where there is no such role; empty may be ``optional``."""
    if role == "" and optional:
        return
    if state.grants(role) is None:
        known = (*BUILT_IN, *sorted(state.roles))
        raise InvalidCommand(Problem("/role", f"there is no role '{role}'{hint(role, known)}"))


def keep_an_administrator(state: SystemState, without: str) -> None:
    """Raises :class:`LastAdministrator` where no other account is one everywhere."""
    administrators = [
        account.id
        for account in state.accounts.values()
        if account.active and account.role == ADMIN
    ]
    if administrators == [without]:
        raise LastAdministrator(without)


def grant_problems(path: str, grant: Grant) -> Problems:
    """What is wrong with a grant."""
    listed = {
        "permissions": grant.permissions,
        "projects": grant.projects,
        "environments": grant.environments,
    }
    for name, entries in listed.items():
        if not entries:
            yield Problem(f"{path}/{name}", "name at least one, or '*'")
        yield from count_problems(f"{path}/{name}", entries, limits.GRANT_ENTRIES, name)
    yield from permission_problems(f"{path}/permissions", grant.permissions)
    for index, project in enumerate(grant.projects):
        if project != EVERYWHERE:
            yield from place_key_problems(f"{path}/projects/{index}", project)
    for index, environment in enumerate(grant.environments):
        if environment not in (EVERYWHERE, UNPROTECTED):
            yield from place_key_problems(f"{path}/environments/{index}", environment)


def create(state: SystemState, command: c.CreateRole) -> e.RoleCreated:
    """Begin a custom role."""
    refuse(place_key_problems("/role", command.role), _definition_problems(command))
    if state.grants(command.role) is not None:
        raise KeyTaken(Entity("role", command.role))
    if len(state.roles) >= limits.ROLES:
        raise LimitReached("custom roles", limits.ROLES)
    return e.RoleCreated(
        command.name or command.role, command.grants, command.description, comment=command.comment
    )


def change(state: SystemState, command: c.ChangeRole) -> e.RoleChanged | None:
    """Say what a custom role is from now on."""
    row = state.roles.get(_custom(state, command.role))
    refuse(_definition_problems(command))
    name = command.name or command.role
    if row is not None and (row.name, row.grants, row.description) == (
        name,
        command.grants,
        command.description,
    ):
        return None
    return e.RoleChanged(name, command.grants, command.description, comment=command.comment)


def delete(state: SystemState, command: c.DeleteRole) -> e.RoleDeleted:
    """End a custom role that nobody has."""
    role = _custom(state, command.role)
    uses = tuple(_uses(state, role))
    if uses:
        raise StillInUse(f"role '{role}'", uses)
    return e.RoleDeleted(comment=command.comment)


def assign(state: SystemState, command: c.AssignRole) -> e.RoleAssigned | None:
    """Give an account or a group a role in a project."""
    subject = _subject(state, command)
    known_role(state, command.role)
    refuse(_project_problems(command.project))
    has = role_in(subject.assignments, command.project)
    if has == command.role:
        return None
    _keep_if_administrator(state, command, has)
    if not has and len(subject.assignments) >= limits.ASSIGNMENTS:
        raise LimitReached("roles of one account or group", limits.ASSIGNMENTS)
    return e.RoleAssigned(command.role, command.project, comment=command.comment)


def unassign(state: SystemState, command: c.UnassignRole) -> e.RoleUnassigned | None:
    """Take the role away that an account or a group has in a project."""
    has = role_in(_subject(state, command).assignments, command.project)
    if not has:
        return None
    _keep_if_administrator(state, command, has)
    return e.RoleUnassigned(command.project, comment=command.comment)


def _keep_if_administrator(
    state: SystemState, command: c.AssignRole | c.UnassignRole, has: str
) -> None:
    if command.subject == "account" and command.project == EVERYWHERE and has == ADMIN:
        keep_an_administrator(state, without=command.id)


def _subject(state: SystemState, command: c.AssignRole | c.UnassignRole) -> Account | Group:
    table = state.accounts if command.subject == "account" else state.groups
    found: Account | Group | None = table.get(command.id)
    if found is None or (isinstance(found, Account) and found.erased_at is not None):
        raise UnknownEntity(Entity(command.subject, command.id))
    return found


def _custom(state: SystemState, role: str) -> str:
    if role in BUILT_IN:
        raise InvalidCommand(Problem("/role", f"'{role}' is built in: create one of your own"))
    if role not in state.roles:
        raise UnknownEntity(Entity("role", role), state.roles)
    return role


def _definition_problems(command: c.CreateRole | c.ChangeRole) -> Problems:
    if command.name:
        yield from name_problems("/name", command.name)
    yield from text_problems("/name", command.name, MAX_NAME_LENGTH)
    yield from text_problems("/description", command.description, limits.COMMENT_LENGTH)
    if not command.grants:
        yield Problem("/grants", "name at least one grant")
    yield from count_problems("/grants", command.grants, limits.GRANTS, "grants")
    for index, grant in enumerate(command.grants):
        yield from grant_problems(f"/grants/{index}", grant)


def _project_problems(project: str) -> Problems:
    if project != EVERYWHERE:
        yield from place_key_problems("/project", project)


def _uses(state: SystemState, role: str) -> Iterator[Use]:
    for account in sorted(state.accounts.values(), key=lambda row: row.id):
        for each in account.assignments:
            if each.role == role:
                yield Use(Entity("account", account.id), f"in project '{each.project}'")
    for group in sorted(state.groups.values(), key=lambda row: row.key):
        for each in group.assignments:
            if each.role == role:
                yield Use(Entity("group", group.key), f"in project '{each.project}'")
    if state.settings.registration_role == role:
        yield Use(Entity("settings", "installation"), "registrationRole")
