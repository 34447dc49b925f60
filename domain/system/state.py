"""What the events of ``$system`` add up to."""

from __future__ import annotations

import hashlib
from datetime import datetime

import msgspec

from domain.facts import Entity
from domain.state import UNMARKED, Mark
from domain.system.permissions import BUILT_IN
from domain.system.vocabulary import EVERYWHERE, Assignment, Grant, InstallationSettings
from domain.tables import Table

SYSTEM_FOLD_VERSION = 2


def role_in(assignments: tuple[Assignment, ...], project: str) -> str:
    """The role that is assigned for exactly this project, or everywhere (``*``); else empty."""
    return next((each.role for each in assignments if each.project == project), "")


class Account(msgspec.Struct, frozen=True):
    """Somebody who may act: a person, or where ``service`` a program."""

    id: str
    created_at: datetime
    assignments: tuple[Assignment, ...] = ()
    """Sorted; those of its groups are in the groups."""
    service: bool = False
    name: str = ""
    """Of a program. Those of people are in no event."""
    disabled_at: datetime | None = None
    erased_at: datetime | None = None
    sessions_ended_at: datetime | None = None
    """Logins that began before are over."""

    @property
    def role(self) -> str:
        """The role that it has everywhere; empty for none."""
        return role_in(self.assignments, EVERYWHERE)

    @property
    def active(self) -> bool:
        """Whether it may do anything at all."""
        return self.disabled_at is None and self.erased_at is None


class Group(msgspec.Struct, frozen=True):
    """Accounts that have roles together."""

    key: str
    name: str
    created_at: datetime
    members: tuple[str, ...] = ()
    """Ids of accounts, sorted."""
    assignments: tuple[Assignment, ...] = ()


class Role(msgspec.Struct, frozen=True):
    """A custom role."""

    key: str
    name: str
    description: str
    grants: tuple[Grant, ...]
    created_at: datetime


class Token(msgspec.Struct, frozen=True):
    """A token of an account."""

    id: str
    account_id: str
    sha256: str
    name: str
    created_at: datetime
    scope: Grant | None = None
    """What it opens of what the account may; None for all of it."""
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def is_open(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class SystemState:
    """The installation as of one seq of ``$system``."""

    __slots__ = ("accounts", "groups", "marks", "roles", "settings", "token_ids", "tokens")

    def __init__(self, of: SystemState | None = None) -> None:
        self.settings: InstallationSettings = of.settings if of else InstallationSettings()
        self.accounts: Table[str, Account] = Table(of.accounts if of else None)
        self.groups: Table[str, Group] = Table(of.groups if of else None)
        self.roles: Table[str, Role] = Table(of.roles if of else None)
        """Custom ones."""
        self.tokens: Table[str, Token] = Table(of.tokens if of else None)
        self.token_ids: Table[str, str] = Table(of.token_ids if of else None)
        """By SHA-256; revoked tokens are not in it."""
        self.marks: Table[Entity, Mark] = Table(of.marks if of else None)

    def token(self, sha256: str) -> Token | None:
        """The unrevoked token of this hash; it may have expired."""
        return self.tokens.get(self.token_ids.get(sha256) or "")

    def holder(self, sha256: str, now: datetime) -> Account | None:
        """The account that an open token opens, unless it is disabled."""
        token = self.token(sha256)
        if token is None or not token.is_open(now):
            return None
        account = self.accounts.get(token.account_id)
        return None if account is None or not account.active else account

    def grants(self, role: str) -> tuple[Grant, ...] | None:
        """What a role allows, built-in or custom; None where there is no such role."""
        if role in BUILT_IN:
            return BUILT_IN[role]
        custom = self.roles.get(role)
        return None if custom is None else custom.grants

    def groups_of(self, account_id: str) -> tuple[Group, ...]:
        """The groups that an account is in, by key."""
        found = (group for group in self.groups.values() if account_id in group.members)
        return tuple(sorted(found, key=lambda group: group.key))

    def mark(self, entity: Entity) -> Mark:
        """The last change of an entity; all zero where it never had one."""
        return self.marks.get(entity) or UNMARKED

    def revision(self, entity: Entity) -> int:
        """The entity's current revision, 0 where it never changed."""
        return self.mark(entity).revision

    def overlay(self) -> SystemState:
        """A view that can be evolved without this state seeing it."""
        return SystemState(self)

    def absorb(self, overlay: SystemState) -> None:
        """Take over what was folded into an overlay of this state."""
        self.settings = overlay.settings
        self.accounts.absorb(overlay.accounts)
        self.groups.absorb(overlay.groups)
        self.roles.absorb(overlay.roles)
        self.tokens.absorb(overlay.tokens)
        self.token_ids.absorb(overlay.token_ids)
        self.marks.absorb(overlay.marks)


class _Snapshot(msgspec.Struct, frozen=True):
    settings: InstallationSettings
    accounts: list[Account]
    groups: list[Group]
    roles: list[Role]
    tokens: list[Token]
    marks: list[tuple[Entity, Mark]]


def dump_system(state: SystemState) -> bytes:
    """Write a state as JSON: the same bytes for equal states."""
    snapshot = _Snapshot(
        state.settings,
        [row for _, row in sorted(state.accounts.items())],
        [row for _, row in sorted(state.groups.items())],
        [row for _, row in sorted(state.roles.items())],
        [row for _, row in sorted(state.tokens.items())],
        sorted(state.marks.items(), key=lambda item: (item[0].kind, item[0].key)),
    )
    return msgspec.json.encode(snapshot)


def load_system(source: bytes) -> SystemState:
    """Read what :func:`dump_system` wrote. Raises ``msgspec.DecodeError``."""
    snapshot = msgspec.json.decode(source, type=_Snapshot)
    state = SystemState()
    state.settings = snapshot.settings
    for account in snapshot.accounts:
        state.accounts.put(account.id, account)
    for group in snapshot.groups:
        state.groups.put(group.key, group)
    for role in snapshot.roles:
        state.roles.put(role.key, role)
    for token in snapshot.tokens:
        state.tokens.put(token.id, token)
        if token.revoked_at is None:
            state.token_ids.put(token.sha256, token.id)
    for entity, mark in snapshot.marks:
        state.marks.put(entity, mark)
    return state


def digest_system(state: SystemState) -> str:
    """A name for the state: equal states, and only those, have the same. Hexadecimal."""
    return hashlib.sha256(dump_system(state)).hexdigest()
