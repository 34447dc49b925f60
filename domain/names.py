"""What keys, ids and texts may look like. Each check answers with problems, or with nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable

from halyard_protocol.codec import encode
from halyard_protocol.limits import MAX_ENVIRONMENT_ATTRIBUTES, MAX_NAME_LENGTH

from domain import limits
from domain.errors import InvalidCommand, Problem

_PLACE_KEY = re.compile(r"[a-z0-9][a-z0-9-]*")
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ENVIRONMENT_ID = re.compile(r"[a-z0-9]{12}")
_SHA256 = re.compile(r"[0-9a-f]{64}")

Problems = tuple[Problem, ...]


def place_key(path: str, key: str, limit: int) -> Problems:
    """The key of a project or an environment: it stands in addresses and in SQL."""
    if not _PLACE_KEY.fullmatch(key):
        return (Problem(path, "a key is of a-z, 0-9 and '-', and begins with none of '-'"),)
    return at_most(path, len(key), limit, "characters")


def key(path: str, value: str, limit: int) -> Problems:
    """The key of a flag or a segment."""
    if not _KEY.fullmatch(value):
        reason = "a key is of letters, digits, '.', '_' and '-', and begins with a letter or digit"
        return (Problem(path, reason),)
    return at_most(path, len(value), limit, "characters")


def opaque(path: str, value: str) -> Problems:
    """An id or a salt that nobody reads."""
    if not _KEY.fullmatch(value):
        return (Problem(path, "an id is of letters, digits, '.', '_' and '-', and not empty"),)
    return at_most(path, len(value), limits.ID_LENGTH, "characters")


def environment_id(path: str, value: str) -> Problems:
    """An environment's id: SDK keys begin with it."""
    if _ENVIRONMENT_ID.fullmatch(value):
        return ()
    return (Problem(path, "an environment's id is of exactly 12 characters a-z and 0-9"),)


def sha256(path: str, value: str) -> Problems:
    """A SHA-256."""
    if _SHA256.fullmatch(value):
        return ()
    return (Problem(path, "a SHA-256 is of 64 hexadecimal digits in lower case"),)


def text(path: str, value: str, limit: int) -> Problems:
    """Words for people; may be empty."""
    return at_most(path, len(value), limit, "characters")


def name(path: str, value: str) -> Problems:
    """A name for people, in one line; never empty."""
    if not value.strip():
        return (Problem(path, "a name is not empty"),)
    if not value.isprintable():
        return (Problem(path, "a name is one line of printable characters"),)
    return text(path, value, MAX_NAME_LENGTH)


def tags(path: str, values: tuple[str, ...]) -> Problems:
    """The tags of a flag: short, different from each other."""
    many = at_most(path, len(values), limits.TAGS, "tags")
    return many or (*distinct(path, values, "tag"), *_each_tag(path, values))


def _each_tag(path: str, values: tuple[str, ...]) -> Iterable[Problem]:
    for index, value in enumerate(values):
        if not value.strip() or not value.isprintable():
            yield Problem(f"{path}/{index}", "a tag is one line and not empty")
        yield from text(f"{path}/{index}", value, limits.TAG_LENGTH)


def attributes(path: str, values: dict[str, object]) -> Problems:
    """The attributes of an environment."""
    size = len(encode(values))
    return (
        *at_most(path, len(values), MAX_ENVIRONMENT_ATTRIBUTES, "attributes"),
        *at_most(path, size, limits.ATTRIBUTES_BYTES, "bytes of JSON"),
        *(
            Problem(f"{path}/{attribute}", "this name is taken: Halyard sets it")
            for attribute in ("key", "kind")
            if attribute in values
        ),
    )


def at_most(path: str, count: int, limit: int, what: str) -> Problems:
    """Not more than ``limit`` of something."""
    if count <= limit:
        return ()
    return (Problem(path, f"at most {limit} {what}, not {count}"),)


def distinct(path: str, values: Iterable[str], what: str) -> Problems:
    """No value twice."""
    seen: set[str] = set()
    problems = []
    for index, value in enumerate(values):
        if value in seen:
            problems.append(Problem(f"{path}/{index}", f"{what} '{value}' is there twice"))
        seen.add(value)
    return tuple(problems)


def refuse(*checks: Problems) -> None:
    """Raise :class:`~domain.errors.InvalidCommand` where any check found a problem."""
    problems = tuple(problem for check in checks for problem in check)
    if problems:
        raise InvalidCommand(*problems)
