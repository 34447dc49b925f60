"""From a request to a command: what the path, the body and the headers each contribute.

A body is the command as it would travel in ``commands``, without what the path says already. Some
names differ, because a resource calls its own key ``key``; some bodies are one field of the
command (a rule, a ``serve``), so that what was read can be sent back. The reading itself is the
domain's, which is strict; faults are told in the body's own terms.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar, cast

import msgspec
from halyard_protocol.problems import Problem
from halyard_protocol.ruleset import Rule, Serve
from halyard_protocol.strict import unknown_fields

from domain.asked import Asked
from domain.commands import Command, decode_command
from domain.decoding import problem_of
from domain.errors import InvalidCommand
from domain.system.commands import SYSTEM_COMMAND_TYPES, decode_system_command
from server.http.call import Call
from server.http.concurrency import expected_revision
from server.http.faults import Malformed
from server.http.json_reading import read_json
from server.http.queries import WriteQuery

S = TypeVar("S", bound=msgspec.Struct)

SHARED_FIELDS = ("expectedRevision", "comment")
"""Every command has these, wherever the rest of it stands."""


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """How the body of one route becomes one command."""

    command: type[Asked]
    path: tuple[str, ...] = ()
    """Fields of the command that are parameters of the path."""
    renamed: dict[str, str] = {}
    """From a name in the body to the name in the command."""
    listed: dict[str, str] = {}
    """Lists in the body, and what their items' ``key`` is called in the command."""
    nested: str = ""
    """The field of the command that the body is; empty where it is the whole command."""
    nested_type: type[Rule] | type[Serve] | None = None
    beside: tuple[str, ...] = ()
    """Where the body is nested: fields of the command that stand beside it nevertheless."""
    id_in_path: str = ""
    """The parameter that is the id of what is nested, such as a rule's."""
    withheld: tuple[str, ...] = ()
    """Fields of the command that only the server may fill."""

    def read(self, call: Call) -> Command:
        """The command. Raises :class:`InvalidCommand` or a fault of the request."""
        return _decoded(self.command, self.content(call))

    def content(self, call: Call) -> dict[str, Any]:
        """The command as it would travel. Raises a fault of the request."""
        content: dict[str, Any] = {"type": self.command.__name__}
        if call.body:
            content |= self._from_body(read_object(call.body))
        for name in self.path:
            content[name] = call.parameters[name]
        if self.id_in_path:
            self._identify(content, call.parameters[self.id_in_path])
        return with_precondition(call, content)

    def _identify(self, content: dict[str, Any], nested_id: str) -> None:
        """What was read can be sent back as it was: then its id stands in the body too."""
        nested = cast("dict[str, Any]", content.setdefault(self.nested, {}))
        if nested.setdefault("id", nested_id) != nested_id:
            raise Malformed(Problem("/id", f"the path says '{nested_id}': an id never changes"))

    def _from_body(self, body: dict[str, Any]) -> dict[str, Any]:
        taken = {*self.path, *self.withheld, *self.renamed.values(), "type"} - self.renamed.keys()
        misplaced = sorted(taken & body.keys())
        if misplaced:
            raise Malformed(*(Problem(f"/{name}", "is not a field here") for name in misplaced))
        if self.nested:
            return self._nested(body)
        content = {self.renamed.get(name, name): value for name, value in body.items()}
        for name, key in self.listed.items():
            if isinstance(content.get(name), list):
                content[name] = [_with_key_as(item, key) for item in content[name]]
        return content

    def _nested(self, body: dict[str, Any]) -> dict[str, Any]:
        outside = (*SHARED_FIELDS, *self.beside)
        content = {name: value for name, value in body.items() if name in outside}
        content[self.nested] = {name: v for name, v in body.items() if name not in outside}
        return content

    def in_terms_of_body(self, refusal: InvalidCommand) -> InvalidCommand:
        """The same refusal, with paths into the body in place of the command."""
        return InvalidCommand(
            *(Problem(self._body_path(found.path), found.reason) for found in refusal.problems)
        )

    def _body_path(self, path: str) -> str:
        _, _, rest = path.partition("/")
        first, slash, further = rest.partition("/")
        if first and first == self.nested:
            return slash + further
        if first in self.listed:
            key = re.compile(rf"(?<=/){re.escape(self.listed[first])}$")
            return f"/{first}{slash}{key.sub('key', further)}"
        for name, field in self.renamed.items():
            if first == field:
                return f"/{name}{slash}{further}"
        return path


def _decoded(command: type[Asked], content: dict[str, Any]) -> Command:
    """A command of the kind of log that it is for; what writes it on does not tell them apart."""
    if command in SYSTEM_COMMAND_TYPES.values():
        return cast("Command", decode_system_command(content))
    return decode_command(content)


def _with_key_as(item: object, name: str) -> object:
    """An item that calls itself by ``key``, with that field called ``name``."""
    if not isinstance(item, dict) or "key" not in item:
        return item
    return {name: item["key"], **{field: v for field, v in item.items() if field != "key"}}


def with_precondition(call: Call, content: dict[str, Any]) -> dict[str, Any]:
    """Add what ``If-Match`` and ``?comment=`` say, unless the body says it."""
    revision = expected_revision(call)
    if revision is not None:
        if content.get("expectedRevision") not in (None, revision):
            raise Malformed(Problem("If-Match", "differs from expectedRevision in the body"))
        content["expectedRevision"] = revision
    comment = call.query_as(WriteQuery).comment
    if comment:
        content.setdefault("comment", comment)
    return content


def read_as(body: bytes, of: type[S]) -> S:
    """A JSON object as a struct, strictly. Raises :class:`NotJson`, :class:`Malformed`."""
    content = read_object(body)
    unknown = [Problem(path, "unknown field") for path in unknown_fields(content, of)]
    if unknown:
        raise Malformed(*unknown)
    try:
        return msgspec.convert(content, of)
    except msgspec.ValidationError as error:
        raise Malformed(problem_of(str(error))) from error


def read_object(body: bytes) -> dict[str, Any]:
    """A JSON object; an empty body is an empty one. Raises what :func:`read_json` raises."""
    content = read_json(body or b"{}")
    if not isinstance(content, dict):
        raise Malformed(Problem("", "is a JSON object"))
    return content
