"""What a caller submits, and what it is answered."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from eventstore.log import Origin

Warrant: TypeAlias = Callable[[Any, Any], None]
"""Called with the state and a command that is about to be decided on it; raises a
:class:`~domain.errors.NotPermitted` where who asks may not have it carried out."""


class EventSummary(msgspec.Struct, frozen=True, rename="camel"):
    """One event that a command caused, as an answer names it."""

    seq: int
    type: str
    entity_kind: str
    entity_key: str
    environment: str | None
    revision: int


class Result(msgspec.Struct, frozen=True, rename="camel"):
    """What one command of a submission did."""

    revision: int
    """Of the entity that the command addressed, after it."""
    events: tuple[EventSummary, ...]


class Answer(msgspec.Struct, frozen=True, rename="camel"):
    """Accepted: ``seq`` is the log's end after the submission, for ``minSeq``."""

    seq: int
    results: tuple[Result, ...]
    replayed: bool = False
    """True where the submission had been accepted before, under the same idempotency key."""

    @property
    def revision(self) -> int:
        """Of the last command's entity."""
        return self.results[-1].revision

    @property
    def events(self) -> tuple[EventSummary, ...]:
        """Of all commands, in order."""
        return tuple(event for result in self.results for event in result.events)


class Submission(msgspec.Struct, frozen=True):
    """One command, or several that take effect together or not at all.

    ``idempotency_key`` is scoped to the log and the actor. A submission without one is keyed by
    its ``command_id``, which is new for each, so that a repeat after a lost connection to the
    database still takes effect once.
    """

    actor_id: str
    commands: tuple[Any, ...]
    """Commands of one aggregate, complete: every id and salt is in them."""
    command_id: str
    idempotency_key: str
    request_hash: bytes
    """SHA-256 of what was asked for, before ids were filled in."""
    correlation_id: str = ""
    causation_id: str = ""
    """What it carries out, such as ``revert:17``; empty for itself."""
    origin: Origin | None = None
    """Where it came from; kept beside the log."""
    warrant: Warrant | None = None
    """None for what the installation does by itself, and an operator on the server."""

    @classmethod
    def of(
        cls,
        actor_id: str,
        *commands: Any,
        idempotency_key: str | None = None,
        request: bytes = b"",
        correlation_id: str = "",
        causation_id: str = "",
        origin: Origin | None = None,
        warrant: Warrant | None = None,
    ) -> Submission:
        """Fill in what a caller does not care about.

        ``request`` is the body as it arrived: with a key that is repeated, it must be the same.
        """
        command_id = str(uuid.uuid4())
        return cls(
            actor_id=actor_id,
            commands=commands,
            command_id=command_id,
            idempotency_key=idempotency_key or command_id,
            request_hash=hashlib.sha256(request).digest(),
            correlation_id=correlation_id or command_id,
            causation_id=causation_id,
            origin=origin,
            warrant=warrant,
        )

    @property
    def scoped_key(self) -> tuple[str, str]:
        """What makes this submission the same as another one of its log."""
        return (self.actor_id, self.idempotency_key)


_answer_decoder = msgspec.json.Decoder(Answer)


def encode_outcome(answer: Answer) -> bytes:
    """An answer as it is recorded beside its events."""
    return msgspec.json.encode(answer)


def decode_outcome(outcome: bytes) -> Answer:
    """A recorded answer, marked as replayed."""
    return msgspec.structs.replace(_answer_decoder.decode(outcome), replayed=True)
