"""`halyard events void`."""

from __future__ import annotations

from domain.errors import Refusal
from eventstore.store import EventStore
from server.cli.exits import fail
from server.cli.key_commands import ACTOR
from server.cli.tailing import only_project
from server.writing.errors import WritingError
from server.writing.voiding import void_event


async def void_in(store: EventStore, project: str | None, seq: int, reason: str) -> tuple[str, int]:
    """Void an event of a project, or of the only one; its key, and the new event's seq."""
    log_id = project or await only_project(store)
    try:
        return log_id, await void_event(store, log_id, seq, reason, ACTOR)
    except (Refusal, WritingError) as refusal:
        fail(str(refusal))
