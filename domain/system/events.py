"""Every event of ``$system``. Stored shapes are for ever: see :mod:`domain.events`."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, TypeAlias, get_args

from domain.stored import Stored
from domain.system.vocabulary import EVERYWHERE, Grant, InstallationSettings

# -- accounts ------------------------------------------------------------------------------------


class AccountCreated(Stored, frozen=True):
    """An account of a person begins. The entity's key is its opaque id."""

    role: str
    """That it has everywhere; empty for none."""


class ServiceAccountCreated(Stored, frozen=True):
    """An account for programs begins: it has tokens, and no login."""

    name: str
    role: str = ""


class AccountDisabled(Stored, frozen=True):
    """The account may do nothing any more; its tokens open nothing."""


class AccountEnabled(Stored, frozen=True):
    """A disabled account may do again what its roles allow."""


class AccountErased(Stored, frozen=True):
    """What was known of the person is gone for good; the account may do nothing."""


class AccountSessionsEnded(Stored, frozen=True):
    """Every login of the account that began before is over."""


class AccountPasswordSet(Stored, frozen=True):
    """The account has another password; by whom says the envelope."""

    critical: ClassVar[bool] = False


class AccountProfileChanged(Stored, frozen=True):
    """The account's name or address is another one; which, says no event."""

    critical: ClassVar[bool] = False


class IdentityLinked(Stored, frozen=True):
    """The account can log in by an identity provider."""

    critical: ClassVar[bool] = False

    provider: str


class IdentityUnlinked(Stored, frozen=True):
    """The account can no longer log in by an identity provider."""

    critical: ClassVar[bool] = False

    provider: str


# -- roles and groups ----------------------------------------------------------------------------


class RoleAssigned(Stored, frozen=True):
    """An account or a group has a role in a project, in place of the one it had there."""

    role: str
    project: str = EVERYWHERE


class RoleUnassigned(Stored, frozen=True):
    """An account or a group has no role of its own in a project any more."""

    project: str = EVERYWHERE


class RoleCreated(Stored, frozen=True):
    """A custom role begins."""

    name: str
    grants: tuple[Grant, ...]
    description: str = ""


class RoleChanged(Stored, frozen=True):
    """The custom role is now this."""

    name: str
    grants: tuple[Grant, ...]
    description: str = ""


class RoleDeleted(Stored, frozen=True):
    """The custom role ended; nobody had it."""


class GroupCreated(Stored, frozen=True):
    """A group of accounts begins, empty."""

    name: str


class GroupRenamed(Stored, frozen=True):
    """The name that people see has changed."""

    critical: ClassVar[bool] = False

    name: str


class GroupDeleted(Stored, frozen=True):
    """The group ended, with what its members could do by it."""


class GroupMembersAdded(Stored, frozen=True):
    """Accounts that were not in the group now are."""

    accounts: tuple[str, ...]


class GroupMembersRemoved(Stored, frozen=True):
    """Accounts that were in the group no longer are."""

    accounts: tuple[str, ...]


# -- tokens and settings -------------------------------------------------------------------------


class TokenIssued(Stored, frozen=True):
    """A token for programs, in the name of an account. The entity's key is ``token_id``."""

    schema_version: ClassVar[int] = 2

    token_id: str
    account_id: str
    sha256: str
    name: str = ""
    scope: Grant | None = None
    """What it opens of what the account may; None for all of it. Since version 2."""
    expires_at: datetime | None = None
    """Since version 2."""


class TokenRevoked(Stored, frozen=True):
    """The token opens nothing any more."""


class SettingsChanged(Stored, frozen=True):
    """What administrators choose for the installation is now this."""

    schema_version: ClassVar[int] = 2
    critical: ClassVar[bool] = False

    settings: InstallationSettings
    """Until version 2 there was only a name."""


SystemEvent: TypeAlias = (
    AccountCreated
    | ServiceAccountCreated
    | AccountDisabled
    | AccountEnabled
    | AccountErased
    | AccountSessionsEnded
    | AccountPasswordSet
    | AccountProfileChanged
    | IdentityLinked
    | IdentityUnlinked
    | RoleAssigned
    | RoleUnassigned
    | RoleCreated
    | RoleChanged
    | RoleDeleted
    | GroupCreated
    | GroupRenamed
    | GroupDeleted
    | GroupMembersAdded
    | GroupMembersRemoved
    | TokenIssued
    | TokenRevoked
    | SettingsChanged
)
SYSTEM_EVENT_TYPES: dict[str, type[Stored]] = {
    event.__name__: event for event in get_args(SystemEvent)
}
