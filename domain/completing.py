"""The commands that a change request holds: read, and completed with what they left out.

So what is reviewed is what is carried out, down to the ids of rules and the salts of flags.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from halyard_protocol.codec import encode
from halyard_protocol.problems import Problem
from msgspec import UNSET
from msgspec.structs import replace

from domain.change_request_commands import EditChangeRequest, OpenChangeRequest
from domain.commands import Command, NewId, complete, decode_command
from domain.errors import InvalidCommand


def complete_with_held(command: Command, new_id: NewId) -> Command:
    """The command with every id and salt that was left out, in it and in what it holds."""
    match command:
        case OpenChangeRequest():
            command = replace(command, commands=_completed(command.commands, new_id))
        case EditChangeRequest() if command.commands is not UNSET:
            command = replace(command, commands=_completed(command.commands, new_id))
        case _:
            pass
    return complete(command, new_id)


def _completed(sources: tuple[dict[str, Any], ...], new_id: NewId) -> tuple[dict[str, Any], ...]:
    return tuple(_one(source, new_id) for source in sources)


def _one(source: dict[str, Any], new_id: NewId) -> dict[str, Any]:
    """As it is where it cannot be read: the decision says what is wrong."""
    try:
        command = complete(decode_command(source), new_id)
    except InvalidCommand:
        return source
    completed: dict[str, Any] = msgspec.json.decode(encode(command))
    return completed


def held_commands(sources: tuple[dict[str, Any], ...]) -> tuple[Command, ...]:
    """The commands that a request holds. Raises :class:`~domain.errors.InvalidCommand`."""
    return tuple(_decoded(sources))


def _decoded(sources: tuple[dict[str, Any], ...]) -> Iterator[Command]:
    for index, source in enumerate(sources):
        try:
            yield decode_command(source)
        except InvalidCommand as refusal:
            raise InvalidCommand(
                *(Problem(f"/commands/{index}{p.path}", p.reason) for p in refusal.problems)
            ) from refusal
