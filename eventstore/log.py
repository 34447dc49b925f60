"""What stands in a log, and what is asked of and answered by an append.

A position in a log is a ``seq`` (0 before the first event) together with the chain's ``hash``
there. A seq alone would not do: after a restore the same seq may name another event.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

SYSTEM_LOG = "$system"
"""The log of the installation; every other log is a project's, under the project's key."""
GENESIS = bytes(32)
"""The hash at seq 0."""


class StoredEvent(msgspec.Struct, frozen=True, gc=False):
    """One event as it is stored. The order of the fields is that of the table's columns."""

    log_id: str
    seq: int
    event_id: str
    environment: str | None
    entity_kind: str
    entity_key: str
    revision: int
    """Of the entity, after this event."""
    type: str
    schema_version: int
    critical: bool
    """A reader that does not know the type must stop."""
    body: bytes
    actor_id: str
    command_id: str
    correlation_id: str | None
    causation_id: str | None
    ends_delta: bool
    """The last event of a command, or of an atomic batch: readers cut only after such a one."""
    recorded_at: datetime
    """UTC; strictly increasing within a log."""
    hash: bytes


class Head(msgspec.Struct, frozen=True):
    """The newest end of a log."""

    log_id: str
    epoch: int
    """0 where the log has no events yet."""
    last_seq: int
    last_hash: bytes
    last_at: datetime


def empty_head(log_id: str) -> Head:
    """The head of a log to which nothing was appended."""
    return Head(log_id, 0, 0, GENESIS, datetime.fromtimestamp(0, UTC))


class NewEvent(msgspec.Struct, frozen=True):
    """An event to append. The store gives it its seq, time and hash."""

    event_id: str
    entity_kind: str
    entity_key: str
    environment: str | None
    revision: int
    type: str
    schema_version: int
    critical: bool
    body: bytes


class Origin(msgspec.Struct, frozen=True):
    """Where a command came from: personal data, kept beside the log and never in it."""

    credential_kind: str | None = None
    """Such as ``token`` or ``session``; None where no credential was shown."""
    credential_id: str | None = None
    address: str | None = None
    """Of the peer; None where there was none, or it was forgotten."""
    user_agent: str | None = None


class NewCommand(msgspec.Struct, frozen=True):
    """A command, or an atomic batch of commands, that was accepted: one answer, one delta."""

    actor_id: str
    idempotency_key: str
    """Scoped to log and actor."""
    request_hash: bytes
    """Of what was asked, so that the same key with another request is noticed."""
    outcome: bytes
    """The answer, to be given again; the store does not look into it."""
    command_id: str
    events: tuple[NewEvent, ...]
    correlation_id: str | None = None
    causation_id: str | None = None
    origin: Origin | None = None


class Batch(msgspec.Struct, frozen=True):
    """Commands to append together, decided on the state at (``expected_seq``, ``expected_hash``).

    No two of them may share an actor and key.
    """

    log_id: str
    expected_seq: int
    expected_hash: bytes
    commands: tuple[NewCommand, ...]


class Appended(msgspec.Struct, frozen=True):
    """All of it was committed."""

    head: Head
    """The new one."""
    first_at: datetime
    """When the batch's first event was recorded; each further one is a microsecond later."""


class Behind(msgspec.Struct, frozen=True):
    """Nothing was written: the log goes on after the expected position."""

    head: Head
    missing: tuple[StoredEvent, ...]
    """The events that follow it; a page of them, where the last is not the head's."""


class Forked(msgspec.Struct, frozen=True):
    """Nothing was written: the expected position is not on this log.

    History was restored, or lost in a failover, since the caller read it. The caller must drop its
    state and read the log anew.
    """

    head: Head


class Recorded(msgspec.Struct, frozen=True):
    """What is known of a command that was accepted earlier."""

    request_hash: bytes
    outcome: bytes
    last_seq: int
    """The log's seq after its events."""


class Duplicate(msgspec.Struct, frozen=True):
    """Nothing was written: these of the commands had been recorded, by (actor id, key)."""

    recorded: dict[tuple[str, str], Recorded]


AppendAnswer = Appended | Behind | Forked | Duplicate


class Snapshot(msgspec.Struct, frozen=True):
    """A fold of the events 1..``seq``, as bytes."""

    log_id: str
    fold: str
    fold_version: int
    seq: int
    hash: bytes
    """The chain's hash at ``seq``: the history that was folded."""
    state: bytes
