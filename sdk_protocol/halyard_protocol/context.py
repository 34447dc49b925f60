"""Who or what is asking: one or several kinds, each with attributes.

A context is a value: it copies the outer level of what it is given. Attribute values are whatever
the caller has; those that are not JSON match no operator, and are never called or converted.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec

from halyard_protocol.limits import MAX_ATTRIBUTE_LENGTH

Attributes: TypeAlias = Mapping[str, Any]
"""The attributes of one kind, by name; ``kind`` itself is not among them."""

MULTI = "multi"
TIME = "time"
ENVIRONMENT = "environment"
USER = "user"


class InvalidContext(ValueError):
    """What was given is no context. ``field`` is the JSON Pointer of the member at fault."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field or 'context'}: {reason}")
        self.field = field
        self.reason = reason


class Context(msgspec.Struct, frozen=True):
    """The attributes of each kind that is present."""

    kinds: dict[str, Attributes]

    @classmethod
    def of(cls, source: str | Attributes) -> Context:
        """Read a context.

        ``source`` is the key of a user, or ``{"kind": k, "key": ..., attributes}`` (kind is
        ``user`` where absent), or ``{"kind": "multi", k1: {...}, k2: {...}}``. A key is a string
        of at least one character; a kind without a key can match by its attributes alone. Raises
        :class:`InvalidContext`.
        """
        if isinstance(source, str):
            return cls({USER: _attributes({"key": source}, "")})
        if not isinstance(source, Mapping):
            raise InvalidContext("", "is the key of a user or an object")
        kind = source.get("kind", USER)
        if kind == MULTI:
            return cls(_several(source))
        _check_kind(kind, "/kind")
        return cls({kind: _attributes(source, "")})

    def attribute(self, kind: str, name: str) -> Any:
        """The value under a literal name or a ``/`` path; None where it or the kind is missing."""
        attributes = self.kinds.get(kind)
        return None if attributes is None else resolve(attributes, name)


def _several(source: Attributes) -> dict[str, Attributes]:
    kinds = {}
    for kind, attributes in source.items():
        if kind == "kind":
            continue
        path = pointer_to(kind)
        _check_kind(kind, path)
        if not isinstance(attributes, Mapping):
            raise InvalidContext(path, "is an object with the attributes of this kind")
        kinds[kind] = _attributes(attributes, path)
    if not kinds:
        raise InvalidContext("", "of several kinds holds at least one")
    return kinds


def pointer_to(member: object) -> str:
    """The JSON Pointer of a member of the outer level."""
    return "/" + str(member).replace("~", "~0").replace("/", "~1")


def _check_kind(kind: object, path: str) -> None:
    if not isinstance(kind, str) or not kind:
        raise InvalidContext(path, "a kind is a string of at least one character")
    if kind == MULTI:
        raise InvalidContext(path, "a context of several kinds holds no other of several kinds")
    if kind == TIME:
        raise InvalidContext(
            path, "'time' is the instant of evaluation; a context has no such kind"
        )


def _attributes(source: Attributes, path: str) -> Attributes:
    attributes = dict(source)
    attributes.pop("kind", None)
    key = attributes.get("key")
    if key is not None and not isinstance(key, str):
        raise InvalidContext(f"{path}/key", "a key is a string")
    if key == "":
        raise InvalidContext(f"{path}/key", "a key has at least one character")
    return attributes


def resolve(attributes: Attributes, name: str) -> Any:
    """Look up a literal name, or a path where it begins with ``/``; None where missing."""
    if not name.startswith("/"):
        return attributes.get(name)
    found: Any = attributes
    for step in path_steps(name):
        if not isinstance(found, Mapping):
            return None
        found = found.get(step)
    return found


def path_steps(path: str) -> tuple[str, ...]:
    """Split ``/plan/tier`` into its member names; ``~1`` stands for ``/`` and ``~0`` for ``~``."""
    return _known_steps(path) if len(path) <= MAX_ATTRIBUTE_LENGTH else _steps(path)


def _steps(path: str) -> tuple[str, ...]:
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:])


_known_steps = lru_cache(maxsize=4096)(_steps)
