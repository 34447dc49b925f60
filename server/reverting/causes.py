"""How the events of a revert name what they undo, and which of them undid a given event.

An event counts as undone by the events on its own entity that name it, or its command, as their
cause. So whoever may be told of the one may be told of the others. What went back to a moment, or
was approved of first, names no event.
"""

from __future__ import annotations

from collections.abc import Sequence

from domain.approvals import bypassing
from eventstore.log import StoredEvent
from eventstore.store import EventStore

_UNDONE = frozenset({"flag", "segment"})
"""Kinds of entities whose changes can be."""


def undoing_event(seq: int) -> str:
    """The cause of what undoes one event."""
    return f"revert:{seq}"


def undoing_command(command_id: str) -> str:
    """The cause of what undoes all events of a command."""
    return f"revert-command:{command_id}"


async def reverted_by(store: EventStore, events: Sequence[StoredEvent]) -> dict[int, int]:
    """By the seq of each event that was undone, the seq of the newest one that did; of one log."""
    causes = {event.seq: _causes(event) for event in events if event.entity_kind in _UNDONE}
    if not causes:
        return {}
    asked = {cause for each in causes.values() for cause in each}
    found = await store.carried_out(events[0].log_id, asked)
    undone: dict[int, int] = {}
    for event in events if found else ():
        entity = event.entity_kind, event.entity_key, event.environment
        by = [
            found[cause, *entity]
            for cause in causes.get(event.seq, ())
            if (cause, *entity) in found
        ]
        if by:
            undone[event.seq] = max(by)
    return undone


def _causes(event: StoredEvent) -> tuple[str, ...]:
    """Those of all that can undo an event."""
    plain = undoing_event(event.seq), undoing_command(event.command_id)
    return *plain, *map(bypassing, plain)
