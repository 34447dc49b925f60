"""The installation's own log, ``$system``: accounts, tokens and settings.

The same shapes as a project's, on a smaller scale: events, commands, a state, ``decide`` and
``evolve``. Accounts are opaque ids here: names, addresses and passwords of people live in
ordinary tables and never in an event. Tokens are known by their SHA-256 only.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, ClassVar, TypeAlias, assert_never, get_args

import msgspec
from halyard_protocol.limits import MAX_NAME_LENGTH
from halyard_protocol.problems import text_problems
from msgspec.structs import replace

from domain import limits
from domain.asked import Asked
from domain.decoding import decode
from domain.errors import KeyTaken, StaleRevision, UnknownEntity
from domain.events import Stored
from domain.evolve import CannotFold
from domain.facts import Entity, Fact, Issuer
from domain.names import id_problems, name_problems, refuse, sha256_problems
from domain.state import UNMARKED, Mark
from domain.tables import Table

SYSTEM_LOG = "$system"
"""The id of the log; no project's key can begin with a dollar sign."""
SETTINGS = Entity("settings", "installation")
SYSTEM_FOLD_VERSION = 1


# -- events --------------------------------------------------------------------------------------


class AccountCreated(Stored, frozen=True):
    """An account begins, with a role everywhere. The entity's key is its opaque id."""

    role: str


class AccountDisabled(Stored, frozen=True):
    """The account may do nothing any more; its tokens open nothing."""


class TokenIssued(Stored, frozen=True):
    """A token for programs, in the name of an account. The entity's key is ``token_id``."""

    token_id: str
    account_id: str
    sha256: str
    name: str = ""


class TokenRevoked(Stored, frozen=True):
    """The token opens nothing any more."""


class SettingsChanged(Stored, frozen=True):
    """What people see of the installation is now this."""

    critical: ClassVar[bool] = False

    name: str


SystemEvent: TypeAlias = (
    AccountCreated | AccountDisabled | TokenIssued | TokenRevoked | SettingsChanged
)
SYSTEM_EVENT_TYPES: dict[str, type[Stored]] = {
    event.__name__: event for event in get_args(SystemEvent)
}


# -- commands ------------------------------------------------------------------------------------


class _OnAccount(Asked, frozen=True):
    account: str

    def addressed(self, _log: str) -> Entity:
        """The entity that ``expected_revision`` speaks of."""
        return Entity("account", self.account)


class _OnToken(Asked, frozen=True):
    token: str

    def addressed(self, _log: str) -> Entity:
        """The entity that ``expected_revision`` speaks of."""
        return Entity("token", self.token)


class CreateAccount(_OnAccount, frozen=True):
    """Begin an account under an opaque id."""

    role: str


class DisableAccount(_OnAccount, frozen=True):
    """Let the account do nothing any more."""


class IssueToken(_OnToken, frozen=True):
    """Let a program act in an account's name, with a token known by its hash."""

    account: str
    sha256: str
    name: str = ""


class RevokeToken(_OnToken, frozen=True):
    """Let the token open nothing any more."""


class ChangeSettings(Asked, frozen=True):
    """Set what people see of the installation."""

    name: str

    def addressed(self, _log: str) -> Entity:
        """The entity that ``expected_revision`` speaks of."""
        return SETTINGS


SystemCommand: TypeAlias = (
    CreateAccount | DisableAccount | IssueToken | RevokeToken | ChangeSettings
)
SYSTEM_COMMAND_TYPES: dict[str, type[SystemCommand]] = {
    command.__name__: command for command in get_args(SystemCommand)
}


def decode_system_command(source: bytes | dict[str, Any]) -> SystemCommand:
    """Read a command. Raises :class:`~domain.errors.InvalidCommand`."""
    command: SystemCommand = decode(source, SYSTEM_COMMAND_TYPES)
    return command


# -- state ---------------------------------------------------------------------------------------


class Account(msgspec.Struct, frozen=True):
    """Somebody who may act."""

    id: str
    role: str
    created_at: datetime
    disabled_at: datetime | None = None


class Token(msgspec.Struct, frozen=True):
    """A token of an account."""

    id: str
    account_id: str
    sha256: str
    name: str
    created_at: datetime
    revoked_at: datetime | None = None


class InstallationSettings(msgspec.Struct, frozen=True):
    """What people see of the installation."""

    name: str = "Halyard"


class SystemState:
    """The installation as of one seq of ``$system``."""

    __slots__ = ("accounts", "marks", "settings", "token_ids", "tokens")

    def __init__(self, of: SystemState | None = None) -> None:
        self.settings: InstallationSettings = of.settings if of else InstallationSettings()
        self.accounts: Table[str, Account] = Table(of.accounts if of else None)
        self.tokens: Table[str, Token] = Table(of.tokens if of else None)
        self.token_ids: Table[str, str] = Table(of.token_ids if of else None)
        """By SHA-256; revoked tokens are not in it."""
        self.marks: Table[Entity, Mark] = Table(of.marks if of else None)

    def holder(self, sha256: str) -> Account | None:
        """The account that an unrevoked token opens, unless it is disabled."""
        token = self.tokens.get(self.token_ids.get(sha256) or "")
        account = None if token is None else self.accounts.get(token.account_id)
        return None if account is None or account.disabled_at else account

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
        self.tokens.absorb(overlay.tokens)
        self.token_ids.absorb(overlay.token_ids)
        self.marks.absorb(overlay.marks)


class _Snapshot(msgspec.Struct, frozen=True):
    settings: InstallationSettings
    accounts: list[Account]
    tokens: list[Token]
    marks: list[tuple[Entity, Mark]]


def dump_system(state: SystemState) -> bytes:
    """Write a state as JSON: the same bytes for equal states."""
    snapshot = _Snapshot(
        state.settings,
        [row for _, row in sorted(state.accounts.items())],
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


# -- decide --------------------------------------------------------------------------------------


def decide_system(
    state: SystemState, command: SystemCommand, by: Issuer
) -> tuple[Fact[SystemEvent], ...]:
    """What follows from a command. Raises :class:`~domain.errors.Refusal`.

    Empty where the command changes nothing.
    """
    entity = command.addressed(SYSTEM_LOG)
    _expect_revision(state, entity, command)
    refuse(
        text_problems("/comment", command.comment, limits.COMMENT_LENGTH),
        id_problems("/by", by.actor_id),
    )
    event = _event(state, command)
    return () if event is None else (Fact(event, entity, state.revision(entity) + 1),)


def _expect_revision(state: SystemState, entity: Entity, command: SystemCommand) -> None:
    actual = state.revision(entity)
    if command.expected_revision not in (None, actual):
        raise StaleRevision(entity, command.expected_revision or 0, actual)


def _event(state: SystemState, command: SystemCommand) -> SystemEvent | None:
    match command:
        case CreateAccount():
            return _create_account(state, command)
        case DisableAccount():
            account = _account(state, command.account)
            return None if account.disabled_at else AccountDisabled(comment=command.comment)
        case IssueToken():
            return _issue_token(state, command)
        case RevokeToken():
            token = state.tokens.get(command.token)
            if token is None:
                raise UnknownEntity(command.addressed(SYSTEM_LOG))
            return None if token.revoked_at else TokenRevoked(comment=command.comment)
        case ChangeSettings():
            refuse(name_problems("/name", command.name))
            same = command.name == state.settings.name
            return None if same else SettingsChanged(command.name, comment=command.comment)
        case _:
            assert_never(command)


def _account(state: SystemState, account_id: str) -> Account:
    account = state.accounts.get(account_id)
    if account is None:
        raise UnknownEntity(Entity("account", account_id))
    return account


def _create_account(state: SystemState, command: CreateAccount) -> AccountCreated:
    refuse(id_problems("/account", command.account), id_problems("/role", command.role))
    if command.account in state.accounts:
        raise KeyTaken(Entity("account", command.account))
    return AccountCreated(command.role, comment=command.comment)


def _issue_token(state: SystemState, command: IssueToken) -> TokenIssued:
    refuse(
        id_problems("/token", command.token),
        sha256_problems("/sha256", command.sha256),
        text_problems("/name", command.name, MAX_NAME_LENGTH),
    )
    _account(state, command.account)
    if command.token in state.tokens or command.sha256 in state.token_ids:
        raise KeyTaken(Entity("token", command.token))
    return TokenIssued(
        command.token, command.account, command.sha256, command.name, comment=command.comment
    )


# -- evolve --------------------------------------------------------------------------------------


def evolve_system(state: SystemState, fact: Fact[SystemEvent], seq: int, at: datetime) -> None:
    """Fold the fact recorded at ``seq`` and ``at`` into ``state``, in place.

    Raises :class:`~domain.evolve.CannotFold`, after which the state is of no further use.
    """
    entity = fact.entity
    state.marks.put(entity, Mark(fact.revision, seq, at))
    try:
        _fold(state, entity.key, fact.event, at)
    except KeyError as error:
        raise CannotFold(type(fact.event).__name__, entity, seq) from error


def _fold(state: SystemState, key: str, event: SystemEvent, at: datetime) -> None:
    match event:
        case AccountCreated():
            state.accounts.put(key, Account(key, event.role, at))
        case AccountDisabled():
            state.accounts.put(key, replace(state.accounts[key], disabled_at=at))
        case TokenIssued():
            token = Token(key, event.account_id, event.sha256, event.name, at)
            state.tokens.put(key, token)
            state.token_ids.put(event.sha256, key)
        case TokenRevoked():
            token = state.tokens[key]
            state.tokens.put(key, replace(token, revoked_at=at))
            state.token_ids.remove(token.sha256)
        case SettingsChanged():
            state.settings = InstallationSettings(event.name)
        case _:
            assert_never(event)
