"""Commands as such: one, or several that take effect together. What internal services use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from halyard_protocol.problems import Problem

from domain.commands import Command, VoidEvent, decode_command
from domain.errors import InvalidCommand
from server.http.bodies import read_object, with_precondition
from server.http.call import Call
from server.http.command_schema import ANY_COMMAND, COMMAND_BATCH, MAX_BATCH, OF_WEBHOOKS
from server.http.faults import Malformed
from server.http.project_keys import project_key
from server.http.queries import WriteQuery
from server.http.replies import Reply
from server.http.routes import BATCH_LIMIT_BYTES, PROJECT, Route
from server.http.writes import BatchAnswer, WriteAnswer, batch_reply, submit, write_reply

_TAG = "commands"


async def post_command(call: Call) -> Reply:
    """One command; ``If-Match`` stands for its ``expectedRevision``."""
    command = decode_command(with_precondition(call, read_object(call.body)))
    _refuse_unsuited(command)
    return write_reply(await submit(call, project_key(call), command))


async def post_batch(call: Call) -> Reply:
    """Several commands, all or none. Faults name the command by its place: ``/commands/3/flag``."""
    if call.headers.get(b"if-match") is not None:
        reason = "is of one entity: give each command of a batch its expectedRevision"
        raise Malformed(Problem("If-Match", reason))
    comment = call.query_as(WriteQuery).comment
    sources = _commands_in(read_object(call.body))
    commands = tuple(_decoded(sources, comment))
    for command in commands:
        _refuse_unsuited(command)
    return batch_reply(await submit(call, project_key(call), *commands, numbered=True))


def _commands_in(body: dict[str, Any]) -> list[Any]:
    unknown = [Problem(f"/{name}", "is not a field here") for name in body if name != "commands"]
    if unknown:
        raise Malformed(*unknown)
    sources = body.get("commands")
    if not isinstance(sources, list) or not 1 <= len(sources) <= MAX_BATCH:
        raise Malformed(Problem("/commands", f"is a list of 1 to {MAX_BATCH} commands"))
    return sources


def _decoded(sources: list[Any], comment: str) -> Iterator[Command]:
    for index, source in enumerate(sources):
        if not isinstance(source, dict):
            raise Malformed(Problem(f"/commands/{index}", "is a JSON object"))
        try:
            yield decode_command({"comment": comment, **source})
        except InvalidCommand as refusal:
            raise InvalidCommand(
                *(Problem(f"/commands/{index}{p.path}", p.reason) for p in refusal.problems)
            ) from refusal


def _refuse_unsuited(command: Command) -> None:
    """Some commands are not taken here, whoever asks."""
    if isinstance(command, VoidEvent):
        # Whether no projection can apply the event cannot be seen from here.
        reason = "events are voided on the server only: halyard events void"
        raise InvalidCommand(Problem("/type", reason))
    if isinstance(command, OF_WEBHOOKS):
        reason = "addresses and secrets of webhooks are kept at their own address: .../webhooks"
        raise InvalidCommand(Problem("/type", reason))


ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path=f"{PROJECT}/commands",
        summary="Submit one command",
        handler=post_command,
        permission="command:submit",
        tag=_TAG,
        query=WriteQuery,
        request=ANY_COMMAND,
        response=WriteAnswer,
    ),
    Route(
        method="POST",
        path=f"{PROJECT}/commands:batch",
        summary="Submit several commands that take effect together or not at all",
        handler=post_batch,
        permission="command:submit",
        tag=_TAG,
        query=WriteQuery,
        request=COMMAND_BATCH,
        response=BatchAnswer,
        body_limit_bytes=BATCH_LIMIT_BYTES,
    ),
)
