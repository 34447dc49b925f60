"""What the domain's own keys, ids and texts may look like, beside the protocol's checks.

Each check takes the JSON pointer of what it looks at, and answers with problems or with nothing;
:func:`refuse` makes a refusal of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from halyard_protocol.limits import MAX_ENVIRONMENT_ATTRIBUTES, MAX_NAME_LENGTH
from halyard_protocol.problems import (
    KEY_PATTERN,
    Problem,
    Problems,
    count_problems,
    repeat_problems,
    text_problems,
)
from halyard_protocol.validation import value_problem

from domain import limits
from domain.errors import InvalidCommand

PLACE_KEY_PATTERN = re.compile(r"[a-z0-9][a-z0-9-]*")
_ENVIRONMENT_ID = re.compile(r"[a-z0-9]{12}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEPT_ATTRIBUTES = ("key", "kind")
"""Attributes of the context kind ``environment`` that are not anybody's to set."""


def refuse(*checks: Iterable[Problem]) -> None:
    """Raise :class:`~domain.errors.InvalidCommand` where any check found a problem."""
    problems = tuple(problem for check in checks for problem in check)
    if problems:
        raise InvalidCommand(*problems)


def place_key_problems(path: str, key: str) -> Problems:
    """The key of a project or an environment: it stands in addresses."""
    if not PLACE_KEY_PATTERN.fullmatch(key):
        reason = f"'{key}' is no key: use a-z, 0-9 and '-', beginning with a letter or a digit"
        yield Problem(path, reason)
    yield from text_problems(path, key, limits.PLACE_KEY_LENGTH)


def id_problems(path: str, value: str) -> Problems:
    """An id or a salt that nobody reads."""
    if not KEY_PATTERN.fullmatch(value):
        yield Problem(path, "an id is of letters, digits, '.', '_' and '-', and not empty")
    yield from text_problems(path, value, limits.ID_LENGTH)


def environment_id_problems(path: str, value: str) -> Problems:
    """An environment's id: SDK keys begin with it."""
    if not _ENVIRONMENT_ID.fullmatch(value):
        yield Problem(path, "an environment's id is of exactly 12 characters a-z and 0-9")


def sha256_problems(path: str, value: str) -> Problems:
    """A SHA-256."""
    if not _SHA256.fullmatch(value):
        yield Problem(path, "a SHA-256 is of 64 hexadecimal digits in lower case")


def name_problems(path: str, value: str) -> Problems:
    """A name for people: one line, never empty."""
    yield from _line_problems(path, value, "a name")
    yield from text_problems(path, value, MAX_NAME_LENGTH)


def _line_problems(path: str, value: str, what: str) -> Problems:
    if not value.strip():
        yield Problem(path, f"{what} is not empty")
    elif not value.isprintable():
        yield Problem(path, f"{what} is one line of printable characters")


def reason_problems(path: str, value: str) -> Problems:
    """Why something was done; never empty."""
    if not value.strip():
        yield Problem(path, "say why")
    yield from text_problems(path, value, limits.COMMENT_LENGTH)


def tag_problems(path: str, tags: tuple[str, ...]) -> Problems:
    """The tags of a flag: short, and different from each other."""
    yield from count_problems(path, tags, limits.TAGS, "tags")
    yield from repeat_problems(path, tags, "tag")
    for index, tag in enumerate(tags):
        yield from _line_problems(f"{path}/{index}", tag, "a tag")
        yield from text_problems(f"{path}/{index}", tag, limits.TAG_LENGTH)


def attributes_problems(path: str, attributes: dict[str, Any]) -> Problems:
    """The attributes of an environment."""
    yield from count_problems(path, tuple(attributes), MAX_ENVIRONMENT_ATTRIBUTES, "attributes")
    problem = value_problem("json", attributes)
    if problem is not None:
        yield Problem(path, problem)
    for kept in _KEPT_ATTRIBUTES:
        if kept in attributes:
            yield Problem(f"{path}/{kept}", "this attribute is the server's to set: remove it")
