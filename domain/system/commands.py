"""Everything that can be asked of the installation, in the imperative, and its strict reading."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias, get_args

from msgspec import UNSET, Meta, UnsetType

from domain.asked import Asked
from domain.decoding import decode
from domain.facts import Entity
from domain.system.vocabulary import (
    EVERYWHERE,
    SETTINGS,
    EnvironmentDefault,
    Grant,
    Registration,
)

Subject: TypeAlias = Literal["account", "group"]
"""What can have a role."""

_Minutes: TypeAlias = Annotated[int, Meta(ge=1, le=60)]
_Hours: TypeAlias = Annotated[int, Meta(ge=1, le=24 * 365)]
_Days: TypeAlias = Annotated[int, Meta(ge=1, le=3_650)]
_PasswordLength: TypeAlias = Annotated[int, Meta(ge=8, le=128)]


class _OnAccount(Asked, frozen=True):
    account: str

    def addressed(self, _log: str) -> Entity:
        """The entity that ``expected_revision`` speaks of."""
        return Entity("account", self.account)


class _OnRole(Asked, frozen=True):
    role: str

    def addressed(self, _log: str) -> Entity:
        """The entity that ``expected_revision`` speaks of."""
        return Entity("role", self.role)


class _OnGroup(Asked, frozen=True):
    group: str

    def addressed(self, _log: str) -> Entity:
        """The entity that ``expected_revision`` speaks of."""
        return Entity("group", self.group)


class _OnSubject(Asked, frozen=True):
    subject: Subject
    id: str

    def addressed(self, _log: str) -> Entity:
        """The entity that ``expected_revision`` speaks of."""
        return Entity(self.subject, self.id)


class _OnToken(Asked, frozen=True):
    token: str

    def addressed(self, _log: str) -> Entity:
        """The entity that ``expected_revision`` speaks of."""
        return Entity("token", self.token)


class CreateAccount(_OnAccount, frozen=True):
    """Begin an account of a person under an opaque id, with a role everywhere, or none."""

    role: str = ""


class CreateServiceAccount(_OnAccount, frozen=True):
    """Begin an account for programs."""

    name: str
    role: str = ""


class DisableAccount(_OnAccount, frozen=True):
    """Let the account do nothing any more."""


class EnableAccount(_OnAccount, frozen=True):
    """Let a disabled account do again what its roles allow."""


class EraseAccount(_OnAccount, frozen=True):
    """Let the account do nothing for good; its personal data are removed beside the log."""


class EndAccountSessions(_OnAccount, frozen=True):
    """End every login of the account that there is."""


class NotePasswordSet(_OnAccount, frozen=True):
    """Record that the account has another password."""


class NoteProfileChanged(_OnAccount, frozen=True):
    """Record that the account's name or address is another one."""


class NoteIdentityLinked(_OnAccount, frozen=True):
    """Record that the account can log in by an identity provider."""

    provider: str


class NoteIdentityUnlinked(_OnAccount, frozen=True):
    """Record that the account can no longer log in by an identity provider."""

    provider: str


class AssignRole(_OnSubject, frozen=True):
    """Give an account or a group a role in a project, in place of the one it has there."""

    role: str
    project: str = EVERYWHERE


class UnassignRole(_OnSubject, frozen=True):
    """Take the role away that an account or a group has in a project."""

    project: str = EVERYWHERE


class CreateRole(_OnRole, frozen=True):
    """Begin a custom role."""

    grants: tuple[Grant, ...]
    name: str = ""
    description: str = ""


class ChangeRole(_OnRole, frozen=True):
    """Say what a custom role is from now on."""

    grants: tuple[Grant, ...]
    name: str = ""
    description: str = ""


class DeleteRole(_OnRole, frozen=True):
    """End a custom role that nobody has."""


class CreateGroup(_OnGroup, frozen=True):
    """Begin a group of accounts."""

    name: str = ""


class RenameGroup(_OnGroup, frozen=True):
    """Give the group another name; its key stays."""

    name: str


class DeleteGroup(_OnGroup, frozen=True):
    """End the group."""


class AddGroupMembers(_OnGroup, frozen=True):
    """Put accounts into the group."""

    accounts: tuple[str, ...]


class RemoveGroupMembers(_OnGroup, frozen=True):
    """Take accounts out of the group."""

    accounts: tuple[str, ...]


class IssueToken(_OnToken, frozen=True):
    """Let a program act in an account's name, with a token known by its hash."""

    account: str
    sha256: str
    name: str = ""
    scope: Grant | None = None
    expires_at: datetime | None = None


class RevokeToken(_OnToken, frozen=True):
    """Let the token open nothing any more."""


class ChangeSettings(Asked, frozen=True):
    """Set what is given of the installation's settings; the rest stays as it is."""

    name: str | UnsetType = UNSET
    registration: Registration | UnsetType = UNSET
    registration_role: str | UnsetType = UNSET
    registration_domains: tuple[str, ...] | UnsetType = UNSET
    access_token_minutes: _Minutes | UnsetType = UNSET
    session_idle_hours: _Hours | UnsetType = UNSET
    session_days: _Days | UnsetType = UNSET
    password_min_length: _PasswordLength | UnsetType = UNSET
    address_days: _Days | UnsetType = UNSET
    project_environments: tuple[EnvironmentDefault, ...] | UnsetType = UNSET
    webhook_networks: tuple[str, ...] | UnsetType = UNSET

    def addressed(self, _log: str) -> Entity:
        """The entity that ``expected_revision`` speaks of."""
        return SETTINGS


SystemCommand: TypeAlias = (
    CreateAccount
    | CreateServiceAccount
    | DisableAccount
    | EnableAccount
    | EraseAccount
    | EndAccountSessions
    | NotePasswordSet
    | NoteProfileChanged
    | NoteIdentityLinked
    | NoteIdentityUnlinked
    | AssignRole
    | UnassignRole
    | CreateRole
    | ChangeRole
    | DeleteRole
    | CreateGroup
    | RenameGroup
    | DeleteGroup
    | AddGroupMembers
    | RemoveGroupMembers
    | IssueToken
    | RevokeToken
    | ChangeSettings
)
SYSTEM_COMMAND_TYPES: dict[str, type[SystemCommand]] = {
    command.__name__: command for command in get_args(SystemCommand)
}


def decode_system_command(source: bytes | dict[str, Any]) -> SystemCommand:
    """Read a command. Raises :class:`~domain.errors.InvalidCommand`."""
    command: SystemCommand = decode(source, SYSTEM_COMMAND_TYPES)
    return command
