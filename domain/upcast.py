"""Stored bytes to events and back: the one place that knows which shapes were ever shipped.

An event is written in its class's current ``schema_version``. One that was stored under an older
version is raised step by step: each entry of :data:`UPCASTS` turns the JSON object of one version
into that of the next. Reading is strict: an unknown field is a fault, never a default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec
from halyard_protocol.codec import convert, decoder, encode, to_builtins

from domain.events import EVENT_TYPES, Event
from domain.stored import HASHES, Stored
from domain.system.events import SYSTEM_EVENT_TYPES, SystemEvent

Upcast: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]
"""From the JSON object of one version to that of the next; pure."""

TYPES: dict[str, type[Stored]] = EVENT_TYPES | SYSTEM_EVENT_TYPES
"""Every event type that can be read, by its name in the log."""


def _without_origins(body: dict[str, Any]) -> dict[str, Any]:
    """Before keys had origins, pages of any could use them: what leaving them out still means."""
    return body


def _without_scope(body: dict[str, Any]) -> dict[str, Any]:
    """Before tokens had scopes and ends, each opened all of its account, for ever."""
    return body


def _name_alone(body: dict[str, Any]) -> dict[str, Any]:
    """Before there were other settings, the name was the only one."""
    kept = {field: value for field, value in body.items() if field != "name"}
    return {**kept, "settings": {"name": body["name"]}}


UPCASTS: dict[tuple[str, int], Upcast] = {
    ("SdkKeyIssued", 1): _without_origins,
    ("TokenIssued", 1): _without_scope,
    ("SettingsChanged", 1): _name_alone,
}
"""By (type, version that it raises)."""

_decoders = {name: decoder(event) for name, event in TYPES.items()}


class UnknownEvent(Exception):
    """An event of a type or version that this program does not know: a newer one wrote it.

    Where the event is marked critical a reader stops here; otherwise it may pass it over.
    """

    def __init__(self, type_name: str, schema_version: int) -> None:
        self.type = type_name
        self.schema_version = schema_version
        super().__init__(
            f"unknown event {type_name} in version {schema_version}: upgrade this program"
        )


class MalformedEvent(Exception):
    """The bytes of an event are not of the shape that its type and version say."""

    def __init__(self, type_name: str, schema_version: int, problem: str) -> None:
        self.type = type_name
        self.schema_version = schema_version
        self.problem = problem
        super().__init__(f"malformed {type_name} in version {schema_version}: {problem}")


def encode_event(event: Event | SystemEvent) -> tuple[str, int, bool, bytes]:
    """What is stored of an event: (type, schema version, critical, JSON)."""
    return type(event).__name__, event.schema_version, event.critical, encode(event)


def decode_event(type_name: str, schema_version: int, body: bytes) -> Any:
    """Read a stored event of a project or of ``$system``, of any version ever shipped.

    Raises :class:`UnknownEvent` or :class:`MalformedEvent`.
    """
    known = TYPES.get(type_name)
    if known is None or not 1 <= schema_version <= known.schema_version:
        raise UnknownEvent(type_name, schema_version)
    try:
        if schema_version == known.schema_version:
            return _decoders[type_name].decode(body)
        return convert(_raised(known, schema_version, body, UPCASTS), known)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedEvent(type_name, schema_version, str(error)) from error


def shown_event(type_name: str, schema_version: int, body: bytes) -> Any:
    """The same for people and other services: without the hashes of secrets.

    What this version cannot read is as it was stored, but for them.
    """
    content: Any
    try:
        event = decode_event(type_name, schema_version, body)
    except (UnknownEvent, MalformedEvent):
        if not any(name.encode() in body for name in HASHES):
            return msgspec.Raw(body)
        content = msgspec.json.decode(body)
    else:
        if not any(hasattr(event, name) for name in HASHES):
            return event
        content = to_builtins(event)
    return {name: value for name, value in content.items() if name not in HASHES}


def _raised(
    known: type[Stored],
    schema_version: int,
    body: bytes,
    upcasts: Mapping[tuple[str, int], Upcast],
) -> dict[str, Any]:
    content: dict[str, Any] = msgspec.json.decode(body)
    for version in range(schema_version, known.schema_version):
        content = upcasts[known.__name__, version](content)
    return content
