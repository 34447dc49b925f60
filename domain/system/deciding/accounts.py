"""Accounts: who there is."""

from __future__ import annotations

from typing import TypeAlias, assert_never

from halyard_protocol.problems import Problem

from domain.errors import AccountClosed, InvalidCommand, KeyTaken, UnknownEntity
from domain.facts import Entity
from domain.names import id_problems, name_problems, refuse
from domain.system import commands as c
from domain.system import events as e
from domain.system.deciding.roles import keep_an_administrator, known_role
from domain.system.state import Account, SystemState

_Creating: TypeAlias = c.CreateAccount | c.CreateServiceAccount
_Noting: TypeAlias = (
    c.NotePasswordSet | c.NoteProfileChanged | c.NoteIdentityLinked | c.NoteIdentityUnlinked
)
_Ending: TypeAlias = c.DisableAccount | c.EnableAccount | c.EraseAccount | c.EndAccountSessions


def decide(state: SystemState, command: _Creating | _Ending | _Noting) -> e.SystemEvent | None:
    """What follows from a command on an account; None for nothing."""
    match command:
        case c.CreateAccount() | c.CreateServiceAccount():
            return _create(state, command)
        case c.DisableAccount() | c.EnableAccount() | c.EraseAccount() | c.EndAccountSessions():
            return _end(state, command)
        case _:
            return _note(state, command)


def known_account(state: SystemState, account_id: str) -> Account:
    """An account that there is. Raises :class:`UnknownEntity`."""
    account = state.accounts.get(account_id)
    if account is None:
        raise UnknownEntity(Entity("account", account_id))
    return account


def open_account(state: SystemState, account_id: str) -> Account:
    """An account that may act. Raises :class:`UnknownEntity` or :class:`AccountClosed`."""
    account = known_account(state, account_id)
    if not account.active:
        raise AccountClosed(account_id, erased=account.erased_at is not None)
    return account


def _create(state: SystemState, command: _Creating) -> e.SystemEvent:
    refuse(id_problems("/account", command.account))
    known_role(state, command.role, optional=True)
    if command.account in state.accounts:
        raise KeyTaken(Entity("account", command.account))
    if isinstance(command, c.CreateServiceAccount):
        refuse(name_problems("/name", command.name))
        return e.ServiceAccountCreated(command.name, command.role, comment=command.comment)
    return e.AccountCreated(command.role, comment=command.comment)


def _end(state: SystemState, command: _Ending) -> e.SystemEvent | None:
    account = known_account(state, command.account)
    match command:
        case c.DisableAccount():
            if not account.active:
                return None
            keep_an_administrator(state, without=account.id)
            return e.AccountDisabled(comment=command.comment)
        case c.EnableAccount():
            if account.erased_at is not None:
                raise AccountClosed(account.id, erased=True)
            return e.AccountEnabled(comment=command.comment) if account.disabled_at else None
        case c.EraseAccount():
            if account.erased_at is not None:
                return None
            keep_an_administrator(state, without=account.id)
            return e.AccountErased(comment=command.comment)
        case c.EndAccountSessions():
            return e.AccountSessionsEnded(comment=command.comment)
        case _:
            assert_never(command)


def _note(state: SystemState, command: _Noting) -> e.SystemEvent:
    account = open_account(state, command.account)
    if account.service:
        raise InvalidCommand(Problem("/account", "is a program's: it has tokens, and no login"))
    match command:
        case c.NotePasswordSet():
            return e.AccountPasswordSet(comment=command.comment)
        case c.NoteProfileChanged():
            return e.AccountProfileChanged(comment=command.comment)
        case c.NoteIdentityLinked():
            refuse(id_problems("/provider", command.provider))
            return e.IdentityLinked(command.provider, comment=command.comment)
        case c.NoteIdentityUnlinked():
            refuse(id_problems("/provider", command.provider))
            return e.IdentityUnlinked(command.provider, comment=command.comment)
        case _:
            assert_never(command)
