"""Events, commands and batches for tests of the log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count
from typing import TypeAlias

from eventstore.log import Appended, Batch, Head, NewCommand, NewEvent
from eventstore.store import EventStore

Tamper: TypeAlias = Callable[[str], Awaitable[None]]
"""Runs SQL as one who can disable the database's refusal to change history."""

_numbers = count(1)


def new_event(key: str = "checkout", revision: int = 1, **changes: object) -> NewEvent:
    """An event of a flag, unless ``changes`` say otherwise."""
    fields: dict[str, object] = {
        "event_id": f"evt-{next(_numbers)}",
        "entity_kind": "flag",
        "entity_key": key,
        "environment": "production",
        "revision": revision,
        "type": "FlagEnabled",
        "schema_version": 1,
        "critical": True,
        "body": b'{"reason":"\xc3\xa9t\xc3\xa9"}',
    }
    return NewEvent(**{**fields, **changes})  # type: ignore[arg-type]


def new_command(*events: NewEvent, **changes: object) -> NewCommand:
    """An accepted command with these events; a key of its own unless ``changes`` name one."""
    number = next(_numbers)
    fields: dict[str, object] = {
        "actor_id": "acc-1",
        "idempotency_key": f"key-{number}",
        "request_hash": b"request",
        "outcome": b'{"answer":1}',
        "command_id": f"cmd-{number}",
        "events": events,
        "correlation_id": "corr-1",
    }
    return NewCommand(**{**fields, **changes})  # type: ignore[arg-type]


def batch_at(head: Head, *commands: NewCommand) -> Batch:
    """These commands, decided at this head."""
    return Batch(head.log_id, head.last_seq, head.last_hash, commands)


async def append(store: EventStore, log_id: str, *commands: NewCommand) -> Appended:
    """Append at the log's head, where nobody else is writing."""
    answer = await store.append(batch_at(await store.head(log_id), *commands))
    assert isinstance(answer, Appended), answer
    return answer


async def fill(store: EventStore, log_id: str, events: int) -> Appended:
    """Append single-event commands of one flag, revisions 1, 2, 3 and so on."""
    commands = (new_command(new_event(revision=n)) for n in range(1, events + 1))
    return await append(store, log_id, *commands)
