"""A stored event as commands show it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from eventstore.log import StoredEvent


class EventRecord(msgspec.Struct, frozen=True, rename="camel"):
    """Everything that is stored of one event; ``body`` and ``hash`` can be read by people."""

    log: str
    seq: int
    type: str
    entity_kind: str
    entity_key: str
    environment: str | None
    revision: int
    actor_id: str
    recorded_at: datetime
    body: msgspec.Raw
    event_id: str
    schema_version: int
    critical: bool
    ends_delta: bool
    command_id: str
    correlation_id: str | None
    causation_id: str | None
    hash: str


def event_record(event: StoredEvent) -> EventRecord:
    """An event, with its stored body unchanged."""
    return EventRecord(
        log=event.log_id,
        seq=event.seq,
        type=event.type,
        entity_kind=event.entity_kind,
        entity_key=event.entity_key,
        environment=event.environment,
        revision=event.revision,
        actor_id=event.actor_id,
        recorded_at=event.recorded_at,
        body=msgspec.Raw(event.body),
        event_id=event.event_id,
        schema_version=event.schema_version,
        critical=event.critical,
        ends_delta=event.ends_delta,
        command_id=event.command_id,
        correlation_id=event.correlation_id,
        causation_id=event.causation_id,
        hash=event.hash.hex(),
    )


def record_rows(record: EventRecord) -> Iterable[tuple[str, object]]:
    """The fields, one to a row."""
    for field in msgspec.structs.fields(record):
        value = getattr(record, field.name)
        if isinstance(value, msgspec.Raw):
            value = msgspec.json.format(bytes(value), indent=2).decode()
        yield field.encode_name, value


def event_line(event: StoredEvent) -> str:
    """An event on one line: when, where, what, to what, by whom, and its body."""
    place = (
        event.entity_key if event.environment is None else f"{event.entity_key}@{event.environment}"
    )
    return (
        f"{event.recorded_at:%Y-%m-%dT%H:%M:%S.%fZ} {event.log_id} {event.seq} {event.type} "
        f"{event.entity_kind} {place} by {event.actor_id} {event.body.decode()}"
    )
