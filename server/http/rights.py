"""Roles, groups, and who may do what, and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from halyard_protocol.problems import Problem, hint

from domain.asked import Asked
from domain.facts import Entity
from domain.system import commands as s
from domain.system.access import Reason, access_of, reasons
from domain.system.permissions import (
    BUILT_IN,
    OF_ENVIRONMENT,
    OF_INSTALLATION,
    OF_PROJECT,
    PERMISSIONS,
)
from domain.system.state import Account, Group, SystemState
from domain.system.vocabulary import EVERYWHERE, SYSTEM_LOG, Assignment, Grant
from domain.tables import Table
from server.http.authorisation import Hidden, access_to
from server.http.bodies import Shape, with_precondition
from server.http.call import Call
from server.http.concurrency import etag
from server.http.faults import Malformed, NotFound
from server.http.paging import Page, page_of
from server.http.permissions import SELF
from server.http.queries import Query, SearchQuery, WriteQuery
from server.http.reads import contains
from server.http.replies import Reply, ok
from server.http.routes import API, Route, command_route, reading
from server.http.writes import WriteAnswer, Writing, submit, write_reply
from server.writing.errors import LogUnknown

_ROLES = f"{API}/auth/roles"
_ROLE = f"{_ROLES}/{{role}}"
_GROUPS = f"{API}/auth/groups"
_GROUP = f"{_GROUPS}/{{group}}"
_TAG = "rights"

R = TypeVar("R")


class PermissionView(msgspec.Struct, frozen=True):
    """A permission, and what it is of: ``installation``, ``project`` or ``environment``."""

    permission: str
    of: str


class Permissions(msgspec.Struct, frozen=True):
    """Every permission that there is."""

    items: tuple[PermissionView, ...]


class RoleView(msgspec.Struct, frozen=True, rename="camel"):
    """A role, and what it grants."""

    role: str
    name: str
    description: str
    built_in: bool
    grants: tuple[Grant, ...]
    revision: int
    """0 of a built-in one, which nobody changes."""


class GroupView(msgspec.Struct, frozen=True):
    """A group: who is in it, and which roles its members have by it."""

    group: str
    name: str
    members: tuple[str, ...]
    """Ids of accounts."""
    roles: tuple[Assignment, ...]
    revision: int


class EffectiveQuery(Query, frozen=True):
    """Where, and what."""

    project: str | None = None
    environment: str | None = None
    permission: str | None = None
    """Say why this one is allowed, or that it is not."""


class EffectiveView(msgspec.Struct, frozen=True, rename="camel"):
    """What an account may do in a place, and where one permission was asked for, why."""

    account: str
    project: str | None
    environment: str | None
    protected: bool
    """Whether the environment is; true where none was named."""
    permissions: tuple[str, ...]
    """Without a project: those of the installation."""
    permission: str | None
    allowed: bool | None
    """Null where no permission was asked for."""
    because: tuple[Reason, ...]
    """Every grant by which it is allowed; a token's scope is not among them."""


async def list_permissions(_call: Call) -> Reply:
    """The vocabulary of grants."""
    kinds = {"installation": OF_INSTALLATION, "project": OF_PROJECT, "environment": OF_ENVIRONMENT}
    items = (PermissionView(each, of) for of, permissions in kinds.items() for each in permissions)
    return ok(Permissions(tuple(items)))


async def list_roles(call: Call) -> Reply:
    """A page of the roles, built-in ones among them."""
    state = await _installation(call)
    rows = {key: _role_view(state, key) for key in (*BUILT_IN, *state.roles)}
    return _page(call, rows, lambda row: (row.role, row.name, row.description))


async def read_role(call: Call) -> Reply:
    """One role."""
    state, key = await _installation(call), call.parameters["role"]
    if state.grants(key) is None:
        raise NotFound("role", key)
    view = _role_view(state, key)
    return ok(view, etag(view.revision))


def _role_view(state: SystemState, key: str) -> RoleView:
    row = state.roles.get(key)
    if row is None:
        return RoleView(key, key, "", built_in=True, grants=BUILT_IN[key], revision=0)
    revision = state.revision(Entity("role", key))
    return RoleView(
        key, row.name, row.description, built_in=False, grants=row.grants, revision=revision
    )


async def list_groups(call: Call) -> Reply:
    """A page of the groups."""
    state = await _installation(call)
    rows = {key: _group_view(state, row) for key, row in state.groups.items()}
    return _page(call, rows, lambda row: (row.group, row.name))


async def read_group(call: Call) -> Reply:
    """One group."""
    state = await _installation(call)
    view = _group_view(state, _found(state.groups, "group", call.parameters["group"]))
    return ok(view, etag(view.revision))


def _group_view(state: SystemState, row: Group) -> GroupView:
    revision = state.revision(Entity("group", row.key))
    return GroupView(row.key, row.name, row.members, row.assignments, revision)


async def read_own_permissions(call: Call) -> Reply:
    """What whoever asks may do, by the token or login that they ask with."""
    state = await _installation(call)
    account = _found(state.accounts, "account", call.actor_id)
    scope = None if call.credential is None else call.credential.scope
    return await _effective(call, state, account, scope)


async def read_permissions_of_account(call: Call) -> Reply:
    """What an account may do by its roles and groups."""
    state = await _installation(call)
    account = _found(state.accounts, "account", call.parameters["account"])
    return await _effective(call, state, account, None)


async def _effective(
    call: Call, state: SystemState, account: Account, scope: Grant | None
) -> Reply:
    query = call.query_as(EffectiveQuery)
    _check(query)
    access = access_of(state, account.id, scope)
    place = query.project, query.environment
    protected = await _is_protected(call, *place)
    if query.project is None:
        permissions = access.of_installation()
    else:
        permissions = access.permissions(query.project, query.environment, protected=protected)
    asked, allowed = query.permission, None
    because: tuple[Reason, ...] = ()
    if asked is not None:
        allowed = access.allows(asked, *place, protected=protected)
        because = reasons(state, account, asked, *place, protected=protected) if allowed else ()
    return ok(EffectiveView(account.id, *place, protected, permissions, asked, allowed, because))


def _check(query: EffectiveQuery) -> None:
    if query.environment is not None and query.project is None:
        raise Malformed(Problem("?project", "is needed with an environment"))
    if query.permission is not None and query.permission not in PERMISSIONS:
        known = hint(query.permission, PERMISSIONS)
        raise Malformed(Problem("?permission", f"there is no such permission{known}"))


async def _is_protected(call: Call, project: str | None, environment: str | None) -> bool:
    """Raises :class:`LogUnknown` for a project that whoever asks cannot see."""
    if project is None:
        return True
    if not access_to(call).sees(project):
        raise Hidden(project, "project:read")
    state = (await call.dependencies.writers.state(project)).state
    if environment is None:
        return True
    return _found(state.environments, "environment", environment).protected


async def _installation(call: Call) -> SystemState:
    return (await call.dependencies.writers.system()).state


def _found(table: Table[str, R], what: str, key: str) -> R:
    row = table.get(key)
    if row is None:
        raise NotFound(what, key)
    return row


def _page(call: Call, rows: dict[str, R], texts: Callable[[R], tuple[str, ...]]) -> Reply:
    query = call.query_as(SearchQuery)
    found = {
        key: row
        for key, row in rows.items()
        if not query.search or contains(query.search, *texts(row))
    }
    return ok(page_of(found, query.limit, query.cursor, found.get, lambda row: row))


_GIVING = Shape(command=s.AssignRole, withheld=("subject", "id"))


class UnassignQuery(WriteQuery, frozen=True):
    """Which of the group's roles."""

    project: str = EVERYWHERE
    """In which project it has the role; left out, the one that it has everywhere."""


async def give_role_to_group(call: Call) -> Reply:
    """Give a group a role in a project, or everywhere, in place of the one it has there."""
    content = _GIVING.content(call)
    return await _submitted(call, content | {"subject": "group", "id": call.parameters["group"]})


async def take_role_from_group(call: Call) -> Reply:
    """Take the role away that a group has in a project."""
    project = call.query_as(UnassignQuery).project
    group = {"subject": "group", "id": call.parameters["group"], "project": project}
    return await _submitted(call, with_precondition(call, {"type": "UnassignRole", **group}))


async def _submitted(call: Call, content: dict[str, Any]) -> Reply:
    command: Any = s.decode_system_command(content)
    return write_reply(await submit(call, SYSTEM_LOG, command))


def _write(method: str, path: str, summary: str, command: type[Asked], status: int = 200) -> Route:
    fields = tuple(name for name in ("role", "group") if f"{{{name}}}" in path)
    writing = Writing(shape=Shape(command=command, path=fields), status=status, log=SYSTEM_LOG)
    return command_route(method, path, summary, writing, tag=_TAG)


ROUTES: tuple[Route, ...] = (
    reading(
        f"{API}/auth/permissions",
        list_permissions,
        "List every permission that there is",
        permission=SELF,
        tag=_TAG,
        response=Permissions,
    ),
    reading(
        f"{API}/auth/me/permissions",
        read_own_permissions,
        "What you may do, and why",
        permission=SELF,
        tag=_TAG,
        query=EffectiveQuery,
        response=EffectiveView,
        refuses=(LogUnknown,),
    ),
    reading(
        f"{API}/auth/users/{{account}}/permissions",
        read_permissions_of_account,
        "What an account may do, and why",
        permission="account:read",
        tag=_TAG,
        query=EffectiveQuery,
        response=EffectiveView,
    ),
    reading(
        _ROLES,
        list_roles,
        "List roles",
        permission="role:read",
        tag=_TAG,
        query=SearchQuery,
        response=Page[RoleView],
    ),
    reading(_ROLE, read_role, "Read a role", permission="role:read", tag=_TAG, response=RoleView),
    _write("POST", _ROLES, "Create a role", s.CreateRole, 201),
    _write("PUT", _ROLE, "Say what a role is from now on", s.ChangeRole),
    _write("DELETE", _ROLE, "Delete a role that nobody has", s.DeleteRole),
    reading(
        _GROUPS,
        list_groups,
        "List groups",
        permission="account:read",
        tag=_TAG,
        query=SearchQuery,
        response=Page[GroupView],
    ),
    reading(
        _GROUP, read_group, "Read a group", permission="account:read", tag=_TAG, response=GroupView
    ),
    _write("POST", _GROUPS, "Create a group", s.CreateGroup, 201),
    _write("PATCH", _GROUP, "Rename a group", s.RenameGroup),
    _write("DELETE", _GROUP, "Delete a group", s.DeleteGroup),
    _write("POST", f"{_GROUP}/members", "Put accounts into a group", s.AddGroupMembers),
    _write("POST", f"{_GROUP}/members/remove", "Take them out", s.RemoveGroupMembers),
    command_route(
        "PUT",
        f"{_GROUP}/role",
        "Give a group a role in a project, or everywhere",
        give_role_to_group,
        shape=_GIVING,
        tag=_TAG,
    ),
    Route(
        method="DELETE",
        path=f"{_GROUP}/role",
        summary="Take the role away that a group has in a project, or everywhere",
        handler=take_role_from_group,
        permission="account:write",
        tag=_TAG,
        query=UnassignQuery,
        response=WriteAnswer,
    ),
)
