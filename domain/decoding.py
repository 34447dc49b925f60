"""The strict reading of commands: every fault is answered with a path and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from halyard_protocol.codec import convert
from halyard_protocol.problems import Problem, hint
from halyard_protocol.strict import unknown_fields

from domain.asked import Asked
from domain.errors import InvalidCommand

C = TypeVar("C", bound=Asked)

_UNKNOWN_FIELD = "unknown field: remove it, or correct its name"


def decode(source: bytes | dict[str, Any], types: Mapping[str, type[C]]) -> C:
    """Read one command of ``types``. Raises :class:`~domain.errors.InvalidCommand`."""
    content = _object(source)
    of = _type(content, types)
    if of.rule_ids_may_be_left_out:
        content = _with_rule_ids(content)
    problems = tuple(Problem(path, _UNKNOWN_FIELD) for path in unknown_fields(content, of))
    try:
        command = convert(content, of)
    except msgspec.ValidationError as error:
        raise InvalidCommand(*problems, problem_of(str(error))) from error
    if problems:
        raise InvalidCommand(*problems)
    return command


def _object(source: bytes | dict[str, Any]) -> dict[str, Any]:
    if isinstance(source, dict):
        return source
    try:
        content = msgspec.json.decode(source)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidCommand(Problem("", f"not JSON: {error}")) from error
    if not isinstance(content, dict):
        raise InvalidCommand(Problem("", "a command is a JSON object"))
    return content


def _type(content: Mapping[str, Any], types: Mapping[str, type[C]]) -> type[C]:
    name = content.get("type")
    if isinstance(name, str) and name in types:
        return types[name]
    if name is None:
        reason = 'missing: name the command, for example "EnableFlag"'
    else:
        reason = f"no command is called {name!r}{hint(str(name), types)}"
    raise InvalidCommand(Problem("/type", reason))


def _with_rule_ids(content: dict[str, Any]) -> dict[str, Any]:
    filled = dict(content)
    if isinstance(content.get("rule"), dict):
        filled["rule"] = {"id": "", **content["rule"]}
    if isinstance(content.get("rules"), list):
        filled["rules"] = [
            {"id": "", **rule} if isinstance(rule, dict) else rule for rule in content["rules"]
        ]
    return filled


def problem_of(message: str) -> Problem:
    """A problem from msgspec's ``Expected `int`, got `str` - at `$.rules[0].id```."""
    reason, _, place = message.partition(" - at `")
    missing = re.fullmatch(r"Object missing required field `(.+)`", reason)
    path = _pointer(place.rstrip("`"))
    if missing:
        return Problem(f"{path}/{missing[1]}", "missing: this field is required")
    return Problem(path, in_words(reason))


def in_words(reason: str) -> str:
    """What msgspec says of a value, for people who have not read a line of Python."""
    wrong_type = re.fullmatch(r"Expected `(.+?)`, got `(.+?)`", reason)
    if wrong_type:
        return f"is {_types(wrong_type[1])}, not {_types(wrong_type[2])}"
    bound = re.fullmatch(r"Expected `(.+?)` (of length )?([<>]=?) (.+)", reason)
    if bound:
        sign, unit = _BOUNDS[bound[3]], _UNITS.get(bound[1], "") if bound[2] else ""
        return f"is {_types(bound[1])} of {sign} {bound[4]}{unit}"
    unlisted = re.fullmatch(r"Invalid (?:enum )?value (.+)", reason, re.DOTALL)
    if unlisted:
        return f"{unlisted[1]} is not among the values that are known here"
    return _SENTENCES.get(reason, reason.replace("`", ""))


def _types(names: str) -> str:
    return " or ".join(_TYPES.get(name, name) for name in names.split(" | "))


_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "datetime": "a time in quotes",
    "null": "null",
}
_BOUNDS = {"<=": "at most", ">=": "at least", "<": "less than", ">": "more than"}
_UNITS = {"str": " characters", "array": " items", "object": " members"}
_SENTENCES = {
    "Invalid RFC3339 encoded datetime": "is an RFC 3339 time, such as 2026-05-01T12:00:00Z",
    "Expected `datetime` with a timezone component": (
        "is a time with its zone, such as 2026-05-01T12:00:00Z"
    ),
    "Integer value out of range": "is a whole number of at most 64 bits",
}


def _pointer(path: str) -> str:
    """A JSON pointer from msgspec's notation; ``[...]`` stands where it names no position."""
    return re.sub(r"\[(.*?)\]", r"/\1", path.removeprefix("$")).replace(".", "/")
