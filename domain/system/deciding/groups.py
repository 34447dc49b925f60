"""Groups of accounts."""

from __future__ import annotations

from typing import TypeAlias, assert_never

from halyard_protocol.problems import Problem, count_problems

from domain import limits
from domain.errors import InvalidCommand, KeyTaken, LimitReached, UnknownEntity
from domain.facts import Entity
from domain.names import name_problems, place_key_problems, refuse
from domain.system import commands as c
from domain.system import events as e
from domain.system.deciding.accounts import open_account
from domain.system.state import Group, SystemState

_OnGroup: TypeAlias = (
    c.CreateGroup | c.RenameGroup | c.DeleteGroup | c.AddGroupMembers | c.RemoveGroupMembers
)


def decide(state: SystemState, command: _OnGroup) -> e.SystemEvent | None:
    """What follows from a command on a group; None for nothing."""
    if isinstance(command, c.CreateGroup):
        return _create(state, command)
    group = _known(state, command.group)
    match command:
        case c.RenameGroup():
            refuse(name_problems("/name", command.name))
            same = command.name == group.name
            return None if same else e.GroupRenamed(command.name, comment=command.comment)
        case c.DeleteGroup():
            return e.GroupDeleted(comment=command.comment)
        case c.AddGroupMembers():
            return _add(state, group, command)
        case c.RemoveGroupMembers():
            going = tuple(sorted({*command.accounts} & {*group.members}))
            return e.GroupMembersRemoved(going, comment=command.comment) if going else None
        case _:
            assert_never(command)


def _create(state: SystemState, command: c.CreateGroup) -> e.GroupCreated:
    refuse(place_key_problems("/group", command.group))
    name = command.name or command.group
    refuse(name_problems("/name", name))
    if command.group in state.groups:
        raise KeyTaken(Entity("group", command.group))
    if len(state.groups) >= limits.GROUPS:
        raise LimitReached("groups", limits.GROUPS)
    return e.GroupCreated(name, comment=command.comment)


def _add(
    state: SystemState, group: Group, command: c.AddGroupMembers
) -> e.GroupMembersAdded | None:
    if not command.accounts:
        raise InvalidCommand(Problem("/accounts", "name at least one account"))
    refuse(count_problems("/accounts", command.accounts, limits.GROUP_MEMBERS, "accounts"))
    for account in command.accounts:
        open_account(state, account)
    coming = tuple(sorted({*command.accounts} - {*group.members}))
    if len(group.members) + len(coming) > limits.GROUP_MEMBERS:
        raise LimitReached("accounts in one group", limits.GROUP_MEMBERS)
    return e.GroupMembersAdded(coming, comment=command.comment) if coming else None


def _known(state: SystemState, key: str) -> Group:
    group = state.groups.get(key)
    if group is None:
        raise UnknownEntity(Entity("group", key), state.groups)
    return group
