"""What is kept of a sampled context: names, types and short values of its attributes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from halyard_protocol.codec import encode
from halyard_protocol.context import Context
from halyard_protocol.limits import MAX_ATTRIBUTE_LENGTH

MAX_VALUE_LENGTH = 100
"""Characters; what is longer is no suggestion. Its attribute counts all the same."""

MAX_KINDS = 10
MAX_ATTRIBUTES = 50
"""Of one kind in one context."""

MAX_ELEMENTS = 10
"""Of one list."""

_HASH_LENGTH = 16


class Sighting(NamedTuple):
    """An attribute that a context had, and its value, or one of them; None for the attribute."""

    kind: str
    attribute: str
    type: str
    value: str | None


def sightings(context: Context, environment_id: str, *, hashed: bool) -> Iterator[Sighting]:
    """What a context shows. ``hashed``: of keys, only a hash.

    The hash differs between environments and kinds. It keeps a key from being read, not from being
    guessed: whoever knows a key can find out whether it was seen.
    """
    for kind, attributes in islice(context.kinds.items(), MAX_KINDS):
        if not _is_name(kind):
            continue
        for name, given in islice(attributes.items(), MAX_ATTRIBUTES):
            if not _is_name(name) or given is None:
                continue
            secret = hashed and name == "key" and isinstance(given, str)
            value = _hash(environment_id, kind, given) if secret else given
            yield Sighting(kind, name, _type(value), None)
            elements = value if isinstance(value, list | tuple) else (value,)
            for element in dict.fromkeys(map(_text, islice(elements, MAX_ELEMENTS))):
                if element is not None:
                    yield Sighting(kind, name, *element)


def _is_name(text: Any) -> bool:
    return isinstance(text, str) and 0 < len(text) <= MAX_ATTRIBUTE_LENGTH and "\0" not in text


def _hash(environment_id: str, kind: str, key: str) -> str:
    text = "\0".join((environment_id, kind, key))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:_HASH_LENGTH]


def _type(value: Any) -> str:
    match value:
        case str():
            return "string"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case list() | tuple():
            return "list"
        case _:
            return "object"


def _text(value: Any) -> tuple[str, str] | None:
    """The type and the text of a short scalar."""
    match value:
        case str():
            text = value
        case bool() | int() | float():
            text = encode(value).decode()
        case _:
            return None
    return (_type(value), text) if len(text) <= MAX_VALUE_LENGTH and "\0" not in text else None
