"""Decisions on change requests."""

from __future__ import annotations

from typing import Any, assert_never

from halyard_protocol.codec import encode
from halyard_protocol.limits import MAX_DESCRIPTION_LENGTH
from halyard_protocol.problems import Problem, Problems, text_problems
from msgspec import UNSET

from domain import change_request_commands as c
from domain import change_request_events as e
from domain import limits
from domain.approvals import cause_of
from domain.asked import OnEnvironment, OnFlag, OnSegment, OnSettings
from domain.commands import Command
from domain.completing import held_commands
from domain.decide.standing import require_room, same
from domain.errors import InvalidCommand, KeyTaken, OwnRequest, RequestClosed
from domain.facts import Entity, Issuer
from domain.names import id_problems, name_problems, refuse
from domain.state import ChangeRequest, ProjectState


def decide_request(
    state: ProjectState, command: c.ChangeRequestCommand, by: Issuer
) -> e.ChangeRequestEvent | None:
    """What happens to a change request."""
    if isinstance(command, c.OpenChangeRequest):
        return _open(state, command, by)
    request = state.change_requests[command.change_request]
    if request.closed_at is not None:
        raise RequestClosed(request.id, request.status)
    match command:
        case c.EditChangeRequest():
            return _edit(state, request, command, by)
        case c.ApproveChangeRequest():
            return _approve(request, command, by)
        case c.RejectChangeRequest():
            if request.status == "rejected":
                return None
            return e.ChangeRequestRejected(by.actor_id, comment=command.comment)
        case c.WithdrawChangeRequest():
            return e.ChangeRequestWithdrawn(comment=command.comment)
        case c.ApplyChangeRequest():
            return _apply(request, command, by)
        case _:
            assert_never(command)


def _open(state: ProjectState, command: c.OpenChangeRequest, by: Issuer) -> e.ChangeRequestOpened:
    refuse(id_problems("/changeRequest", command.change_request))
    refuse(_text_problems(command.title, command.description))
    base = _base(state, command.commands)
    if command.change_request in state.change_requests:
        raise KeyTaken(Entity("change-request", command.change_request))
    running = [row for row in state.change_requests.values() if row.closed_at is None]
    require_room(running, limits.CHANGE_REQUESTS, "open change requests")
    return e.ChangeRequestOpened(
        by.actor_id,
        command.title,
        command.commands,
        base,
        command.description,
        comment=command.comment,
    )


def _edit(
    state: ProjectState, request: ChangeRequest, command: c.EditChangeRequest, by: Issuer
) -> e.ChangeRequestEdited | None:
    title = request.title if command.title is UNSET else command.title
    commands = request.commands if command.commands is UNSET else command.commands
    description = request.description if command.description is UNSET else command.description
    refuse(_text_problems(title, description))
    base = _base(state, commands)
    held = (request.title, request.commands, request.base, request.description)
    if same(held, (title, commands, base, description)) and request.status == "open":
        return None
    return e.ChangeRequestEdited(
        by.actor_id, title, commands, base, description, comment=command.comment
    )


def _approve(
    request: ChangeRequest, command: c.ApproveChangeRequest, by: Issuer
) -> e.ChangeRequestApproved | None:
    if command.expected_revision is None:
        reason = "missing: say which revision you approve of"
        raise InvalidCommand(Problem("/expectedRevision", reason))
    if request.status != "open":
        raise RequestClosed(request.id, request.status)
    if by.actor_id in request.authors:
        raise OwnRequest(request.id)
    if any(approval.account == by.actor_id for approval in request.approvals):
        return None
    return e.ChangeRequestApproved(by.actor_id, comment=command.comment)


def _apply(
    request: ChangeRequest, command: c.ApplyChangeRequest, by: Issuer
) -> e.ChangeRequestApplied:
    if by.cause != cause_of(request.id):
        reason = "a change request is applied at its own address: .../apply"
        raise InvalidCommand(Problem("/type", reason))
    if request.status != "open":
        raise RequestClosed(request.id, request.status)
    return e.ChangeRequestApplied(comment=command.comment)


def _text_problems(title: str, description: str) -> Problems:
    yield from name_problems("/title", title)
    yield from text_problems("/description", description, MAX_DESCRIPTION_LENGTH)


def _base(state: ProjectState, sources: tuple[dict[str, Any], ...]) -> tuple[e.Base, ...]:
    """The revisions of what the commands address. Refuses commands that cannot be held."""
    if not 1 <= len(sources) <= limits.CHANGE_REQUEST_COMMANDS:
        reason = f"is a list of 1 to {limits.CHANGE_REQUEST_COMMANDS} commands"
        raise InvalidCommand(Problem("/commands", reason))
    if len(encode(sources)) > limits.CHANGE_REQUEST_BYTES:
        reason = f"has at most {limits.CHANGE_REQUEST_BYTES} bytes"
        raise InvalidCommand(Problem("/commands", reason))
    commands = held_commands(sources)
    refuse(_kind_problems(commands))
    project = "" if state.project is None else state.project.key
    entities = dict.fromkeys(command.addressed(project) for command in commands)
    return tuple(
        e.Base(entity.kind, entity.key, entity.environment, state.revision(entity))
        for entity in entities
    )


def _kind_problems(commands: tuple[Command, ...]) -> Problems:
    for index, command in enumerate(commands):
        if not isinstance(command, OnFlag | OnSettings | OnSegment | OnEnvironment):
            reason = "only commands on flags, segments and environments can be held"
            yield Problem(f"/commands/{index}/type", reason)
