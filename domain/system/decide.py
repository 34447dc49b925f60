"""``(state, command) -> facts`` for ``$system``, or a refusal."""

from __future__ import annotations

from typing import assert_never

from halyard_protocol.limits import MAX_NAME_LENGTH
from halyard_protocol.problems import Problem, text_problems

from domain import limits
from domain.errors import InvalidCommand, KeyTaken, LimitReached, StaleRevision, UnknownEntity
from domain.facts import Entity, Fact, Issuer
from domain.names import id_problems, refuse, sha256_problems
from domain.system import commands as c
from domain.system import events as e
from domain.system.deciding import accounts, groups, roles, settings
from domain.system.state import SystemState
from domain.system.vocabulary import SYSTEM_LOG


def decide_system(
    state: SystemState, command: c.SystemCommand, by: Issuer
) -> tuple[Fact[e.SystemEvent], ...]:
    """What follows from a command. Raises :class:`~domain.errors.Refusal`.

    Empty where the command changes nothing.
    """
    entity = command.addressed(SYSTEM_LOG)
    _expect_revision(state, entity, command)
    refuse(
        text_problems("/comment", command.comment, limits.COMMENT_LENGTH),
        id_problems("/by", by.actor_id),
    )
    event = _event(state, command, by)
    return () if event is None else (Fact(event, entity, state.revision(entity) + 1),)


def _expect_revision(state: SystemState, entity: Entity, command: c.SystemCommand) -> None:
    actual = state.revision(entity)
    if command.expected_revision not in (None, actual):
        raise StaleRevision(entity, command.expected_revision or 0, actual)


def _event(state: SystemState, command: c.SystemCommand, by: Issuer) -> e.SystemEvent | None:
    match command:
        case c.IssueToken():
            return _issue_token(state, command, by)
        case c.RevokeToken():
            token = state.tokens.get(command.token)
            if token is None:
                raise UnknownEntity(command.addressed(SYSTEM_LOG))
            return None if token.revoked_at else e.TokenRevoked(comment=command.comment)
        case c.ChangeSettings():
            return settings.change(state, command)
        case c.AssignRole():
            return roles.assign(state, command)
        case c.UnassignRole():
            return roles.unassign(state, command)
        case c.CreateRole():
            return roles.create(state, command)
        case c.ChangeRole():
            return roles.change(state, command)
        case c.DeleteRole():
            return roles.delete(state, command)
        case (
            c.CreateGroup()
            | c.RenameGroup()
            | c.DeleteGroup()
            | c.AddGroupMembers()
            | c.RemoveGroupMembers()
        ):
            return groups.decide(state, command)
        case (
            c.CreateAccount()
            | c.CreateServiceAccount()
            | c.DisableAccount()
            | c.EnableAccount()
            | c.EraseAccount()
            | c.EndAccountSessions()
            | c.NotePasswordSet()
            | c.NoteProfileChanged()
            | c.NoteIdentityLinked()
            | c.NoteIdentityUnlinked()
        ):
            return accounts.decide(state, command)
        case _:
            assert_never(command)


def _issue_token(state: SystemState, command: c.IssueToken, by: Issuer) -> e.TokenIssued:
    refuse(
        id_problems("/token", command.token),
        sha256_problems("/sha256", command.sha256),
        text_problems("/name", command.name, MAX_NAME_LENGTH),
    )
    if command.scope is not None:
        refuse(roles.grant_problems("/scope", command.scope))
    if command.expires_at is not None and command.expires_at <= by.now:
        raise InvalidCommand(Problem("/expiresAt", "is over already: name an instant to come"))
    accounts.open_account(state, command.account)
    if command.token in state.tokens or command.sha256 in state.token_ids:
        raise KeyTaken(Entity("token", command.token))
    open_ones = sum(
        token.account_id == command.account and token.is_open(by.now)
        for token in state.tokens.values()
    )
    if open_ones >= limits.TOKENS:
        raise LimitReached("open tokens of one account", limits.TOKENS)
    return e.TokenIssued(
        command.token,
        command.account,
        command.sha256,
        command.name,
        command.scope,
        command.expires_at,
        comment=command.comment,
    )
