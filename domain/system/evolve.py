"""The fold of ``$system``."""

from __future__ import annotations

from datetime import datetime
from typing import TypeAlias, assert_never

from msgspec.structs import replace

from domain.evolve import CannotFold
from domain.facts import Entity, Fact
from domain.state import Mark
from domain.system import events as e
from domain.system.state import Account, Group, Role, SystemState, Token
from domain.system.vocabulary import EVERYWHERE, Assignment


def evolve_system(state: SystemState, fact: Fact[e.SystemEvent], seq: int, at: datetime) -> None:
    """Fold the fact recorded at ``seq`` and ``at`` into ``state``, in place.

    Raises :class:`~domain.evolve.CannotFold`, after which the state is of no further use.
    """
    entity = fact.entity
    state.marks.put(entity, Mark(fact.revision, seq, at))
    try:
        _fold(state, entity, fact.event, at)
    except KeyError as error:
        raise CannotFold(type(fact.event).__name__, entity, seq) from error


_OnAccount: TypeAlias = (
    e.AccountCreated
    | e.ServiceAccountCreated
    | e.AccountDisabled
    | e.AccountEnabled
    | e.AccountErased
    | e.AccountSessionsEnded
    | e.AccountPasswordSet
    | e.AccountProfileChanged
    | e.IdentityLinked
    | e.IdentityUnlinked
)
_OnGroup: TypeAlias = (
    e.GroupCreated | e.GroupRenamed | e.GroupDeleted | e.GroupMembersAdded | e.GroupMembersRemoved
)


def _fold(state: SystemState, entity: Entity, event: e.SystemEvent, at: datetime) -> None:
    key = entity.key
    match event:
        case e.RoleAssigned():
            _assign(state, entity, event.project, event.role)
        case e.RoleUnassigned():
            _assign(state, entity, event.project, "")
        case e.RoleCreated():
            state.roles.put(key, Role(key, event.name, event.description, event.grants, at))
        case e.RoleChanged():
            changed = replace(
                state.roles[key],
                name=event.name,
                description=event.description,
                grants=event.grants,
            )
            state.roles.put(key, changed)
        case e.RoleDeleted():
            state.roles.remove(key)
        case e.TokenIssued():
            token = Token(
                key, event.account_id, event.sha256, event.name, at, event.scope, event.expires_at
            )
            state.tokens.put(key, token)
            state.token_ids.put(event.sha256, key)
        case e.TokenRevoked():
            token = state.tokens[key]
            state.tokens.put(key, replace(token, revoked_at=at))
            state.token_ids.remove(token.sha256)
        case e.SettingsChanged():
            state.settings = event.settings
        case _:
            _fold_subject(state, key, event, at)


def _fold_subject(state: SystemState, key: str, event: _OnAccount | _OnGroup, at: datetime) -> None:
    match event:
        case e.AccountCreated():
            state.accounts.put(key, Account(key, at, _everywhere(event.role)))
        case e.ServiceAccountCreated():
            roles = _everywhere(event.role)
            state.accounts.put(key, Account(key, at, roles, service=True, name=event.name))
        case e.AccountDisabled():
            state.accounts.put(key, replace(state.accounts[key], disabled_at=at))
        case e.AccountEnabled():
            state.accounts.put(key, replace(state.accounts[key], disabled_at=None))
        case e.AccountErased():
            state.accounts.put(key, replace(state.accounts[key], erased_at=at, assignments=()))
            for group in state.groups_of(key):
                _set_members(state, group.key, {*group.members} - {key})
        case e.AccountSessionsEnded():
            state.accounts.put(key, replace(state.accounts[key], sessions_ended_at=at))
        case (
            e.AccountPasswordSet()
            | e.AccountProfileChanged()
            | e.IdentityLinked()
            | e.IdentityUnlinked()
        ):
            state.accounts.put(key, state.accounts[key])  # there has to be one
        case _:
            _fold_group(state, key, event, at)


def _fold_group(state: SystemState, key: str, event: _OnGroup, at: datetime) -> None:
    match event:
        case e.GroupCreated():
            state.groups.put(key, Group(key, event.name, at))
        case e.GroupRenamed():
            state.groups.put(key, replace(state.groups[key], name=event.name))
        case e.GroupDeleted():
            state.groups.remove(key)
        case e.GroupMembersAdded():
            _set_members(state, key, {*state.groups[key].members, *event.accounts})
        case e.GroupMembersRemoved():
            _set_members(state, key, {*state.groups[key].members} - {*event.accounts})
        case _:
            assert_never(event)


def _set_members(state: SystemState, key: str, members: set[str]) -> None:
    state.groups.put(key, replace(state.groups[key], members=tuple(sorted(members))))


def _everywhere(role: str) -> tuple[Assignment, ...]:
    return (Assignment(EVERYWHERE, role),) if role else ()


def _assign(state: SystemState, entity: Entity, project: str, role: str) -> None:
    if entity.kind == "group":
        group = state.groups[entity.key]
        roles = _with(group.assignments, project, role)
        state.groups.put(entity.key, replace(group, assignments=roles))
    else:
        account = state.accounts[entity.key]
        roles = _with(account.assignments, project, role)
        state.accounts.put(entity.key, replace(account, assignments=roles))


def _with(assignments: tuple[Assignment, ...], project: str, role: str) -> tuple[Assignment, ...]:
    kept = [each for each in assignments if each.project != project]
    added = [Assignment(project, role)] if role else []
    return tuple(sorted([*kept, *added]))
