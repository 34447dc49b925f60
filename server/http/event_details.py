"""One event of a project with what it made of its entity: the row before, the row after."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from domain.difference import Change, Row, row_changes, row_of, told
from domain.evolve import evolve
from domain.facts import Entity, EntityKind, Fact
from domain.state import ProjectState
from domain.upcast import UnknownEvent, decode_event
from eventstore.log import StoredEvent
from server.http.authorisation import Sight
from server.http.call import Call
from server.http.event_views import EventView, event_views
from server.http.faults import NotFound
from server.http.histories import reached_end
from server.http.project_keys import project_key
from server.http.queries import MAX_SEQ, MinSeqQuery
from server.http.replies import Reply, ok
from server.writing.errors import LogUnknown


class EventDetail(msgspec.Struct, frozen=True, rename="camel"):
    """An event, and what differs in its entity because of it."""

    event: EventView
    before: dict[str, Any] | None
    """The entity as it was; null where it was not there."""
    after: dict[str, Any] | None
    """As it was then; null where it had ended."""
    changes: tuple[Change, ...]


async def read_event(call: Call) -> Reply:
    """One event by its seq. Raises :class:`NotFound`."""
    log_id, wanted = project_key(call), call.parameters["seq"]
    await reached_end(call, log_id, call.query_as(MinSeqQuery).min_seq)
    seq = int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 19 else 0
    found = await call.dependencies.store.read(log_id, seq - 1, 1) if 0 < seq <= MAX_SEQ else []
    if [event.seq for event in found] != [seq]:
        raise NotFound("event", wanted)
    Sight(call, log_id).require(found[0].environment)
    (view,) = await event_views(call, found)
    entity = Entity(cast("EntityKind", found[0].entity_kind), *_place(found[0]))
    before, after = await _rows(call, found[0], entity)
    changes = row_changes(entity, before, after)
    return ok(EventDetail(view, _told(before), _told(after), changes))


def _place(event: StoredEvent) -> tuple[str, str | None]:
    return event.entity_key, event.environment


async def _rows(call: Call, event: StoredEvent, entity: Entity) -> tuple[Row, Row]:
    """The entity's rows; the same twice where the event is passed over by every reader."""
    state = ProjectState()
    voided: frozenset[int] = frozenset()
    if event.seq > 1:
        try:
            folded = await call.dependencies.writers.state_at(event.log_id, event.seq - 1)
            state, voided = folded.state, folded.voided
        except LogUnknown:
            pass  # the project had ended: nothing was there
    before = row_of(state, entity)
    after = state.overlay()
    if event.seq not in voided:
        try:
            body = decode_event(event.type, event.schema_version, event.body)
        except UnknownEvent:
            return before, before
        evolve(after, Fact(body, entity, event.revision), event.seq, event.recorded_at)
    return before, row_of(after, entity)


def _told(row: Row) -> dict[str, Any] | None:
    return None if row is None else told(row)
