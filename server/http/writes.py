"""The way of every write: commands out of a request, one submission, one answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from halyard_protocol.codec import encode
from halyard_protocol.problems import Problem

from domain.approvals import bypassing
from domain.commands import Command, CreateProject, complete
from domain.completing import complete_with_held
from domain.errors import InvalidCommand, Refusal
from domain.system.vocabulary import SYSTEM_LOG
from server.credentials import new_id
from server.http.authorisation import require, warrant_of
from server.http.bodies import Shape
from server.http.call import Call
from server.http.concurrency import etag, idempotency_key, request_fingerprint
from server.http.event_views import EventEntity, event_views
from server.http.faults import Malformed, Overtaken
from server.http.peers import origin_of
from server.http.project_keys import project_key
from server.http.queries import WriteQuery
from server.http.replies import JSON, Header, Reply
from server.writing.errors import LogUnknown
from server.writing.history import StaleWithEvents
from server.writing.submission import Answer, EventSummary, Result, Submission

Located = Callable[[Call, Any], str]
"""The address of what a command created."""


class CausedEvent(msgspec.Struct, frozen=True):
    """One event that a write caused; its body stands in ``events``."""

    seq: int
    type: str
    entity: EventEntity
    revision: int


class WriteAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Accepted, and durable. ``seq`` is what ``?minSeq=`` wants to hear.

    No events: the command asked for what was so already.
    """

    seq: int
    revision: int
    """Of the entity that the (last) command addressed, after it."""
    events: tuple[CausedEvent, ...]
    replayed: bool
    """Whether this repeats the answer to an earlier request with this idempotency key."""


class ChangesAnswer(msgspec.Struct, frozen=True):
    """Accepted as a whole, and durable; it concerned several entities, or none."""

    seq: int
    """The end of the project's log after it."""
    replayed: bool
    events: tuple[CausedEvent, ...]


class CommandResult(msgspec.Struct, frozen=True):
    """What one command of a batch did."""

    revision: int
    events: tuple[CausedEvent, ...]


class BatchAnswer(WriteAnswer, frozen=True, kw_only=True):
    """Accepted as a whole; ``results`` are in the order of the commands."""

    results: tuple[CommandResult, ...]


async def submit(
    call: Call,
    log_id: str,
    *commands: Command,
    numbered: bool = False,
    causation_id: str = "",
) -> Answer:
    """Have commands decided and stored, all or none.

    ``numbered``: the caller sent a list, and a refusal says which of it was refused.
    ``causation_id``: what they carry out, such as an import. Raises what
    :meth:`Writers.submit` raises; a stale revision as :class:`Overtaken`.
    """
    for command in commands:
        if isinstance(command, CreateProject) and command.project != log_id:
            raise InvalidCommand(Problem("/project", f"this log is that of '{log_id}'"))
    if isinstance(call.query, WriteQuery) and call.query.bypass_approval:
        if log_id == SYSTEM_LOG:
            reason = "is for what environments ask approval of: nothing of the installation does"
            raise Malformed(Problem("?bypassApproval", reason))
        await permit_bypass(call, log_id)
        causation_id = bypassing(causation_id)
    submission = submission_of(call, *commands, causation_id=causation_id)
    try:
        return await call.dependencies.writers.submit(log_id, submission)
    except Refusal as refusal:
        if not numbered:
            refusal.command_number = None
        if isinstance(refusal, StaleWithEvents):
            between = await event_views(call, refusal.between)
            raise Overtaken(refusal, between) from refusal
        raise


async def permit_bypass(call: Call, log_id: str) -> None:
    """Raises :class:`~domain.errors.NotPermitted` unless the caller may, wherever it counts.

    Of a project that is not there, nothing has to be approved.
    """
    try:
        state = (await call.dependencies.writers.state(log_id)).state
    except LogUnknown:
        return
    for key, environment in state.environments.items():
        if environment.required_approvals:
            require(call, "environment:bypass", log_id, key)


def submission_of(call: Call, *commands: Command, causation_id: str = "") -> Submission:
    """What a request submits: with every id that was left out, and its own idempotency key."""
    return Submission.of(
        call.actor_id,
        *(complete_with_held(command, new_id) for command in commands),
        idempotency_key=idempotency_key(call),
        request=request_fingerprint(call),
        correlation_id=call.request_id,
        causation_id=causation_id,
        origin=origin_of(call),
        warrant=warrant_of(call, causation_id),
    )


def write_reply(answer: Answer, *headers: Header, status: int = 200) -> Reply:
    """The answer to a write, with the ``ETag`` that the next one may send back."""
    body = encode(write_answer(answer))
    return Reply(status, body, JSON, (etag(answer.revision), *headers))


def write_answer(answer: Answer) -> WriteAnswer:
    """An answer as the API writes it."""
    return WriteAnswer(
        seq=answer.seq,
        revision=answer.revision,
        events=caused(answer.events),
        replayed=answer.replayed,
    )


def changes_reply(answer: Answer) -> Reply:
    """The answer to a write of several entities."""
    content = ChangesAnswer(answer.seq, answer.replayed, caused(answer.events))
    return Reply(200, encode(content), JSON)


def batch_reply(answer: Answer) -> Reply:
    """The answer to a batch."""
    body = BatchAnswer(
        seq=answer.seq,
        revision=answer.revision,
        events=caused(answer.events),
        replayed=answer.replayed,
        results=tuple(map(_result, answer.results)),
    )
    return Reply(200, encode(body), JSON)


def _result(result: Result) -> CommandResult:
    return CommandResult(result.revision, caused(result.events))


def caused(events: tuple[EventSummary, ...]) -> tuple[CausedEvent, ...]:
    """Events as an answer names them."""
    return tuple(
        CausedEvent(
            event.seq,
            event.type,
            EventEntity(event.entity_kind, event.entity_key, event.environment),
            event.revision,
        )
        for event in events
    )


class Writing(msgspec.Struct, frozen=True, kw_only=True):
    """A handler for one command: what most routes that write are."""

    shape: Shape
    status: int = 200
    located: Located | None = None
    log: str = ""
    """Empty for the path's project."""

    async def __call__(self, call: Call) -> Reply:
        """Read the command, submit it, answer."""
        command, answer = await self.submitted(call)
        headers = () if self.located is None else (location(self.located(call, command)),)
        return write_reply(answer, *headers, status=self.status)

    async def submitted(self, call: Call) -> tuple[Command, Answer]:
        """The command with every id that was drawn for it, and what came of it."""
        try:
            command = complete(self.shape.read(call), new_id)
            return command, await submit(call, self.log or project_key(call), command)
        except InvalidCommand as refusal:
            raise self.shape.in_terms_of_body(refusal) from refusal


def location(path: str) -> Header:
    """The header that says where what was created can be read."""
    return (b"location", path.encode("ascii"))
