"""Which commands need approval, and whether they have it.

An environment may ask that what changes there was approved by others. Whoever has the approvals
carries the commands out as part of their change request: the submission's cause names it. Whether
who gave one may still give it is asked of the installation, by what goes along with it. In an
emergency the approvals can be bypassed, which the events then name as their cause; who may do so
is not the domain's to say.

SDK keys and webhooks need none, since they change nothing that is served and a leaked key cannot
wait; neither do the project's name and the repair of its log.
"""

from __future__ import annotations

from typing import Final

from halyard_protocol.problems import Problem

from domain import commands as c
from domain.asked import OnChangeRequest, OnKey, OnWebhook
from domain.errors import ApprovalRequired, InvalidCommand
from domain.facts import Issuer
from domain.reach import affected_environments
from domain.state import ChangeRequest, ProjectState

BYPASS: Final = "approval-bypass"
"""The cause of what was carried out without the approvals that were needed."""
REHEARSAL: Final = "rehearsal"
"""The cause of what is decided only to be looked at: what is to be approved is seen before it is.
Nothing may be stored under it."""
_REQUEST = "change-request:"


def cause_of(request: str) -> str:
    """The cause of what is carried out for a change request."""
    return _REQUEST + request


def bypassing(cause: str) -> str:
    """The cause of what is carried out, for another cause perhaps, without its approvals."""
    return f"{BYPASS}:{cause}" if cause else BYPASS


def require_approval(state: ProjectState, command: c.Command, by: Issuer) -> None:
    """Refuse a command that needs more approvals than it has.

    Raises :class:`~domain.errors.ApprovalRequired`, and :class:`~domain.errors.InvalidCommand` for
    a bypass without a comment.
    """
    required = {} if by.cause == REHEARSAL else approvals_required(state, command)
    if not required:
        return
    if by.cause.split(":")[0] == BYPASS:
        if not command.comment.strip():
            reason = "say why it cannot wait for approval"
            raise InvalidCommand(Problem("/comment", reason))
        return
    request = carried_out(state, by.cause)
    require_so_many(required, 0 if request is None else len(request.approvals))


def require_so_many(required: dict[str, int], given: int) -> None:
    """Raises :class:`~domain.errors.ApprovalRequired` where some environment asks for more."""
    missing = tuple(sorted(key for key, number in required.items() if number > given))
    if missing:
        raise ApprovalRequired(missing, max(required.values()), given)


def approvals_required(state: ProjectState, command: c.Command) -> dict[str, int]:
    """How many approvals each environment asks for that a command changes; none where it is 0."""
    asking = {
        key: row.required_approvals
        for key, row in state.environments.items()
        if row.required_approvals
    }
    if not asking:
        return {}
    return {key: asking[key] for key in _changed_environments(state, command) if key in asking}


def _changed_environments(state: ProjectState, command: c.Command) -> frozenset[str]:
    match command:
        case OnKey() | OnWebhook() | OnChangeRequest():
            return frozenset()
        case c.VoidEvent() | c.RenameProject() | c.CreateEnvironment():
            return frozenset()
        case c.ProtectEnvironment() | c.UnprotectEnvironment():
            return frozenset((command.environment,))
        case _:
            return affected_environments(state, command)


def carried_out(state: ProjectState, cause: str) -> ChangeRequest | None:
    """The open change request that is carried out for a cause; None for another cause."""
    request = state.change_requests.get(cause.removeprefix(_REQUEST))
    is_it = cause.startswith(_REQUEST) and request is not None and request.status == "open"
    return request if is_it else None
