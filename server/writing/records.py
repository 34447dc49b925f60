"""An accepted submission as the event store takes it."""

from __future__ import annotations

import uuid
from typing import Any

from domain.facts import Fact
from domain.upcast import encode_event
from eventstore.log import NewCommand, NewEvent
from server.writing.planning import Accepted
from server.writing.submission import encode_outcome


def new_command(accepted: Accepted) -> NewCommand:
    """One command of the log: all events of a submission are one delta."""
    submission = accepted.submission
    return NewCommand(
        actor_id=submission.actor_id,
        idempotency_key=submission.idempotency_key,
        request_hash=submission.request_hash,
        outcome=encode_outcome(accepted.answer),
        command_id=submission.command_id,
        events=tuple(_new_event(fact) for fact in accepted.facts),
        correlation_id=submission.correlation_id,
        causation_id=submission.causation_id or None,
        origin=submission.origin,
    )


def _new_event(fact: Fact[Any]) -> NewEvent:
    type_name, schema_version, critical, body = encode_event(fact.event)
    return NewEvent(
        event_id=str(uuid.uuid4()),
        entity_kind=fact.entity.kind,
        entity_key=fact.entity.key,
        environment=fact.entity.environment,
        revision=fact.revision,
        type=type_name,
        schema_version=schema_version,
        critical=critical,
        body=body,
    )
