"""``PATCH``: each field that a body names is a command of its own; together they are one batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypeAlias

import msgspec
from halyard_protocol.conditions import Condition
from halyard_protocol.problems import Problem, hint
from halyard_protocol.ruleset import SegmentRule, Serve, Variation
from msgspec import UNSET, Meta, UnsetType

from domain.commands import Command, decode_command
from domain.errors import InvalidCommand
from server.http.bodies import SHARED_FIELDS, read_object, with_precondition
from server.http.call import Call
from server.http.faults import Malformed
from server.http.project_keys import project_key
from server.http.replies import Reply
from server.http.writes import submit, write_reply


class _Edit(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What every edit may say; fields that are left out stay as they are."""

    expected_revision: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    comment: str | UnsetType = UNSET


class ProjectEdit(_Edit, frozen=True):
    """What can be changed of a project."""

    name: str | UnsetType = UNSET


class EnvironmentEdit(_Edit, frozen=True):
    """What can be changed of an environment."""

    name: str | UnsetType = UNSET
    attributes: dict[str, Any] | UnsetType = UNSET
    protected: bool | UnsetType = UNSET
    required_approvals: int | UnsetType = UNSET


class FlagEdit(_Edit, frozen=True):
    """What can be changed of a flag; the defaults of new environments only with variations."""

    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    tags: tuple[str, ...] | UnsetType = UNSET
    maintainer: str | UnsetType = UNSET
    client_side: bool | UnsetType = UNSET
    variations: tuple[Variation, ...] | UnsetType = UNSET
    off_variation: str | UnsetType | None = UNSET
    fallthrough: Serve | UnsetType = UNSET


class SegmentEdit(_Edit, frozen=True):
    """What can be changed of a segment; its members have routes of their own."""

    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    rules: tuple[SegmentRule, ...] | UnsetType = UNSET


class RuleEdit(_Edit, frozen=True):
    """What can be changed of a rule, one field without the others."""

    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    when: Condition | UnsetType = UNSET
    serve: Serve | UnsetType = UNSET


Step: TypeAlias = Callable[[dict[str, Any]], dict[str, Any] | None]
"""From a body to one command without its address; None where the body does not ask for it."""


def field_step(command: str, field: str, *further: str) -> Step:
    """A command that is given where ``field`` is, and takes ``further`` fields along."""

    def step(body: dict[str, Any]) -> dict[str, Any] | None:
        if field not in body:
            return None
        taken = {name: body[name] for name in (field, *further) if name in body}
        return {"type": command, **taken}

    return step


def switch_step(on: str, off: str, field: str) -> Step:
    """One of two commands, as a boolean field says."""

    def step(body: dict[str, Any]) -> dict[str, Any] | None:
        if field not in body:
            return None
        if not isinstance(body[field], bool):
            raise InvalidCommand(Problem(f"/{field}", "is true or false"))
        return {"type": on if body[field] else off}

    return step


class Editing(msgspec.Struct, frozen=True, kw_only=True):
    """A handler for one kind of edit."""

    body: type[_Edit]
    path: tuple[str, ...] = ()
    """Parameters that are fields of each command."""
    steps: tuple[Step, ...]
    requires: dict[str, str] = {}
    """Fields that are taken only together with another one."""

    async def __call__(self, call: Call) -> Reply:
        """Read the edit, submit its commands as one batch, answer."""
        commands = self.read(call)
        return write_reply(await submit(call, project_key(call), *commands))

    def read(self, call: Call) -> tuple[Command, ...]:
        """The commands; at least one. Raises :class:`Malformed`, :class:`InvalidCommand`."""
        body = with_precondition(call, read_object(call.body))
        check_names(body, self.body, self.requires)
        address = {name: call.parameters[name] for name in self.path}
        commands = tuple(self._commands(body, address))
        if not commands:
            raise Malformed(Problem("", "names nothing to change"))
        return commands

    def _commands(self, body: dict[str, Any], address: dict[str, str]) -> Iterator[Command]:
        # Only the first command meets the revision that the caller saw: it moves it itself.
        shared = {name: body[name] for name in SHARED_FIELDS if name in body}
        for step in self.steps:
            content = step(body)
            if content is not None:
                yield decode_command({**content, **address, **shared})
                shared.pop("expectedRevision", None)


def check_names(body: dict[str, Any], of: type[msgspec.Struct], requires: dict[str, str]) -> None:
    """Refuse fields that an edit does not have, and those without the ones that they need."""
    known = {field.encode_name: field for field in msgspec.structs.fields(of)}
    errors = [
        Problem(f"/{name}", f"is not a field here{hint(name, known)}")
        for name in body
        if name not in known
    ]
    errors += [
        Problem(f"/{name}", f"is changed only together with {other}")
        for name, other in requires.items()
        if name in body and other not in body
    ]
    if errors:
        raise Malformed(*errors)
