"""Whether who asks may have a command carried out, asked against the very state it is decided on.

A warrant goes along with each submission, and the writer asks it before each command: of a batch,
after the commands before it. So nothing can change between the check and the effect, and every
way in (one command, a batch, an edit, an import, a revert, a dry run) passes the same place.

Nobody gives away what they have not: a role, a group's roles or a token can only be given by who
may do all of it, and an account or group is only changed by who may do what it may do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from domain.approvals import approvals_required, carried_out, require_so_many
from domain.change_request_commands import ApproveChangeRequest
from domain.commands import Command, CreateProject
from domain.errors import BeyondOwn, NotPermitted
from domain.reach import affected_environments, is_protected
from domain.state import Approval, ChangeRequest, ProjectState
from domain.system import commands as s
from domain.system.access import (
    Access,
    Region,
    Regions,
    access_of,
    regions_of,
    regions_of_account,
    regions_of_group,
    regions_of_role,
)
from domain.system.permissions import OF_ENVIRONMENT
from domain.system.state import SystemState
from domain.system.vocabulary import Grant
from server.http.permissions import PERMISSIONS
from server.writing.folded_log import FoldedLog

if TYPE_CHECKING:
    from server.http.credential import Credential
    from server.writing.writers import Writers

MAX_KEPT = 4_096
"""Accesses at a time; each is some kilobytes."""

_OF_ENVIRONMENT = frozenset(OF_ENVIRONMENT)


class Accesses:
    """What accounts may do, worked out once for each and each scope, until ``$system`` changes."""

    __slots__ = ("_kept", "_seq", "_state")

    def __init__(self) -> None:
        self._kept: dict[tuple[str, Grant | None], Access] = {}
        self._state: SystemState | None = None
        self._seq = 0

    def of(
        self, installation: FoldedLog[SystemState], account_id: str, scope: Grant | None
    ) -> Access:
        """What an account may do as of a state of the installation."""
        is_same = installation.state is self._state and installation.seq == self._seq
        if not is_same or len(self._kept) >= MAX_KEPT:
            self._kept.clear()
            self._state, self._seq = installation.state, installation.seq
        key = account_id, scope
        access = self._kept.get(key)
        if access is None:
            access = self._kept[key] = access_of(installation.state, account_id, scope)
        return access


class Warrant(msgspec.Struct, frozen=True):
    """Who asks, and by which credential."""

    writers: Writers
    accesses: Accesses
    account_id: str
    credential: Credential
    cause: str = ""
    """What is carried out: of a change request, the approvals are asked about."""

    def __call__(self, state: Any, command: Any) -> None:
        """Raises :class:`NotPermitted` where the command may not be carried out on the state."""
        scope = self.credential.scope
        if isinstance(state, SystemState):
            access = access_of(state, self.account_id, scope)
            _check_system(_Asking(self.account_id, self.credential.id, access, state), command)
            return
        # As of now, and not as of when the request came in.
        installation = self.writers.system_at_hand
        if installation is None:
            raise NotPermitted(PERMISSIONS[type(command)])
        check_project(self.accesses.of(installation, self.account_id, scope), state, command)
        request = carried_out(state, self.cause)
        required = {} if request is None else approvals_required(state, command)
        # Where there are none at all, it is refused in its turn when it is decided.
        if required and request is not None and request.approvals:
            standing = standing_approvals(self.accesses, installation, state, request)
            require_so_many(required, len(standing))


def standing_approvals(
    accesses: Accesses,
    installation: FoldedLog[SystemState],
    state: ProjectState,
    request: ChangeRequest,
) -> tuple[Approval, ...]:
    """Those whose givers may still give them, as the installation is."""
    asked = ApproveChangeRequest(request.id)
    reached = affected_environments(state, asked)

    def may_approve(account_id: str) -> bool:
        try:
            _check_reach(accesses.of(installation, account_id, None), state, asked, reached)
        except NotPermitted:
            return False
        return True

    return tuple(each for each in request.approvals if may_approve(each.account))


def check_project(access: Access, state: ProjectState, command: Command) -> None:
    """Raises :class:`NotPermitted` where a command reaches an environment that it may not.

    Where there is no project, nothing but to create one is left to be permitted.
    """
    permission = PERMISSIONS[type(command)]
    if isinstance(command, CreateProject) and not access.allows(permission):
        raise NotPermitted(permission)
    if isinstance(command, CreateProject) or state.project is None:
        return
    if not access.allows_everywhere(permission, state.project.key):
        _check_reach(access, state, command, affected_environments(state, command))


def _check_reach(
    access: Access, state: ProjectState, command: Command, reached: frozenset[str]
) -> None:
    permission = PERMISSIONS[type(command)]
    project = "" if state.project is None else state.project.key
    for key in sorted(reached):
        protected = is_protected(state, command, key)
        if not access.allows(permission, project, key, protected=protected):
            raise NotPermitted(permission, project, key)
    if not reached and not _somewhere(access, permission, project, state):
        raise NotPermitted(permission, project)


def _somewhere(access: Access, permission: str, project: str, state: ProjectState) -> bool:
    """Whether it may in an environment that there is, or in the project as such."""
    if permission not in _OF_ENVIRONMENT or not len(state.environments):
        return access.allows(permission, project)
    return any(
        access.allows(permission, project, row.key, protected=row.protected)
        for row in state.environments.values()
    )


# -- the installation ----------------------------------------------------------------------------


class _Asking(msgspec.Struct, frozen=True):
    account_id: str
    credential_id: str
    access: Access
    state: SystemState


def _check_system(asking: _Asking, command: s.SystemCommand) -> None:
    if not _is_about_itself(asking, command):
        permission = PERMISSIONS[type(command)]
        if not asking.access.allows(permission):
            raise NotPermitted(permission)
    for regions in _concerned(asking, command):
        lacking = asking.access.lacks(regions)
        if lacking is not None:
            raise BeyondOwn(lacking)


def _is_about_itself(asking: _Asking, command: s.SystemCommand) -> bool:
    account = asking.state.accounts.get(asking.account_id)
    if account is None or not account.active:
        return False
    match command:
        # Not by a token that is limited: a login would be more than that.
        case (
            s.EndAccountSessions()
            | s.NotePasswordSet()
            | s.NoteProfileChanged()
            | s.NoteIdentityLinked()
            | s.NoteIdentityUnlinked()
        ):
            return command.account == asking.account_id and asking.access.whole
        case s.IssueToken():
            return command.account == asking.account_id
        case s.RevokeToken():
            token = asking.state.tokens.get(command.token)
            is_own = token is not None and token.account_id == asking.account_id
            return is_own and (asking.access.whole or command.token == asking.credential_id)
        case _:
            return False


def _concerned(asking: _Asking, command: s.SystemCommand) -> tuple[Regions, ...]:
    """What whoever asks has to be allowed themselves: what is given, and what its getters have."""
    state = asking.state
    match command:
        case s.CreateAccount() | s.CreateServiceAccount():
            return (regions_of_role(state, command.role),)
        case s.AssignRole():
            given = regions_of_role(state, command.role, command.project)
            return (given, _of_subject(asking, command))
        case s.UnassignRole():
            return (_of_subject(asking, command),)
        case s.CreateRole():
            return (regions_of(command.grants),)
        case s.ChangeRole():
            return (regions_of(command.grants), regions_of_role(state, command.role))
        case s.DeleteRole():
            return (regions_of_role(state, command.role),)
        case s.RenameGroup() | s.DeleteGroup() | s.AddGroupMembers() | s.RemoveGroupMembers():
            return (regions_of_group(state, command.group),)
        case s.IssueToken():
            return (_of_token(asking, command),)
        case s.ChangeSettings():
            role = command.registration_role
            return () if role is UNSET else (regions_of_role(state, role),)
        case s.CreateGroup() | s.RevokeToken():
            return ()
        case _:
            # Its own, too: a token that is limited must not reset its account's password.
            return (regions_of_account(state, command.account),)


def _of_subject(asking: _Asking, command: s.AssignRole | s.UnassignRole) -> Regions:
    if command.subject == "group":
        return regions_of_group(asking.state, command.id)
    return regions_of_account(asking.state, command.id)


def _of_token(asking: _Asking, command: s.IssueToken) -> Regions:
    """What a token opens: at most what its account may, and at most its scope, if it has one."""
    held = regions_of_account(asking.state, command.account)
    if command.scope is None:
        return held
    scope = regions_of((command.scope,))
    return {
        permission: _coverable(asking.access, permission, scope[permission], regions)
        for permission, regions in held.items()
        if permission in scope
    }


def _coverable(
    access: Access, permission: str, scope: tuple[Region, ...], held: tuple[Region, ...]
) -> tuple[Region, ...]:
    """Either holds all that the token opens: it suffices to be allowed one of them."""
    return scope if access.lacks({permission: scope}) is None else held
