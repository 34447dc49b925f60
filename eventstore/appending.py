"""A batch as the arguments of one call, and the rows of the call's answer.

One round trip: the function ``append_events`` (see the migrations) locks the head, looks for
recorded commands, compares the position, writes, and answers.
"""

from __future__ import annotations

from itertools import accumulate, chain
from typing import Any

import asyncpg

from eventstore.errors import translating
from eventstore.log import (
    AppendAnswer,
    Appended,
    Batch,
    Behind,
    Duplicate,
    Forked,
    Head,
    NewCommand,
    Origin,
    Recorded,
    StoredEvent,
)
from eventstore.statements import statement

MISSING_PAGE = 1000
"""Events that one answer of a caller who is behind brings along."""

UNKNOWN_ORIGIN = Origin()

_HEAD, _KEY, _RECORDED, _EVENT = slice(1, 5), slice(6, 8), slice(8, 11), slice(11, None)
"""Where the statement ``append`` has its columns; slices of a row are tuples."""


async def append(connection: asyncpg.pool.PoolConnectionProxy, batch: Batch) -> AppendAnswer:
    """Append in the connection's transaction, or in one of its own where there is none."""
    with translating:
        rows = await connection.fetch(statement("append"), *_arguments(batch))
    return _answer(batch.log_id, rows)


def _arguments(batch: Batch) -> tuple[Any, ...]:
    head = (batch.log_id, batch.expected_seq, batch.expected_hash, MISSING_PAGE)
    return (
        *head,
        *_of_commands(batch.commands),
        *_of_events(batch.commands),
        *_origins_of(batch.commands),
    )


def _of_commands(commands: tuple[NewCommand, ...]) -> tuple[list[Any], ...]:
    return (
        [command.actor_id for command in commands],
        [command.idempotency_key for command in commands],
        [command.request_hash for command in commands],
        [command.outcome for command in commands],
        list(accumulate(len(command.events) for command in commands)),
        [command.command_id for command in commands],
        [command.correlation_id for command in commands],
        [command.causation_id for command in commands],
    )


def _origins_of(commands: tuple[NewCommand, ...]) -> tuple[list[Any] | None, ...]:
    if not any(command.origin for command in commands):
        return (None, None, None, None)
    origins = [command.origin or UNKNOWN_ORIGIN for command in commands]
    return (
        [origin.credential_kind for origin in origins],
        [origin.credential_id for origin in origins],
        [origin.address for origin in origins],
        [origin.user_agent for origin in origins],
    )


def _of_events(commands: tuple[NewCommand, ...]) -> tuple[list[Any], ...]:
    events = list(chain.from_iterable(command.events for command in commands))
    return (
        [number for number, command in enumerate(commands, 1) for _ in command.events],
        [event.event_id for event in events],
        [event.environment for event in events],
        [event.entity_kind for event in events],
        [event.entity_key for event in events],
        [event.revision for event in events],
        [event.type for event in events],
        [event.schema_version for event in events],
        [event.critical for event in events],
        [event.body for event in events],
    )


def _answer(log_id: str, rows: list[asyncpg.Record]) -> AppendAnswer:
    first = rows[0]
    match first["answer"]:
        case "appended":
            return Appended(_head(log_id, first), first["first_at"])
        case "behind":
            return Behind(
                _head(log_id, first), tuple(StoredEvent(*row[_EVENT]) for row in rows[1:])
            )
        case "forked":
            return Forked(_head(log_id, first))
        case _:
            return Duplicate({row[_KEY]: Recorded(*row[_RECORDED]) for row in rows})


def _head(log_id: str, row: asyncpg.Record) -> Head:
    return Head(log_id, *row[_HEAD])
