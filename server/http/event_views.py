"""Events as the API writes them: with names, and with where they came from.

From where somebody works is that person's data. So an address is shown to those who administer
accounts, and to the person; that it was this token, or that login, is shown to all who may read.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from domain.errors import NotPermitted
from domain.upcast import shown_event
from eventstore.log import Origin, StoredEvent
from server.http.authorisation import require
from server.reverting.causes import reverted_by

if TYPE_CHECKING:
    from server.http.call import Call


class Actor(msgspec.Struct, frozen=True):
    """Who asked for it; ``name`` is null where nobody knows it any more."""

    id: str
    name: str | None


class EventEntity(msgspec.Struct, frozen=True):
    """What it happened to; ``environment`` is null for what is not of one."""

    kind: str
    key: str
    environment: str | None


class EventOrigin(msgspec.Struct, frozen=True, rename="camel"):
    """Where the command came from."""

    credential: str | None
    """How its sender had been let in: ``token`` or ``session``."""
    credential_id: str | None
    address: str | None
    """Null to whom the account's addresses are no business, and once they were forgotten."""
    user_agent: str | None


class EventView(msgspec.Struct, frozen=True, rename="camel"):
    """One event of a log."""

    seq: int
    type: str
    entity: EventEntity
    revision: int
    """Of the entity, after this."""
    actor: Actor
    recorded_at: datetime
    command_id: str
    """Events of one command, or of one batch, share it."""
    correlation_id: str | None
    causation_id: str | None
    """What it carries out: ``revert:17``, ``change-request:9ok2``; null for itself."""
    reverted_by: int | None
    """The seq of the newest event that undid it; null while none has."""
    origin: EventOrigin | None
    """Null where it is not known, or was erased."""
    body: dict[str, Any]
    """What was decided, in the newest shape of its type; ``comment`` where there was one."""


async def event_views(call: Call, events: Sequence[StoredEvent]) -> tuple[EventView, ...]:
    """Events of one log, for whoever calls."""
    if not events:
        return ()
    dependencies, log_id = call.dependencies, events[0].log_id
    names = await dependencies.actor_names({event.actor_id for event in events})
    origins: dict[int, Origin] = {}
    if dependencies.origins is not None:
        origins = await dependencies.origins.of_events(log_id, [event.seq for event in events])
    shown, reverts = _Shown(call), await reverted_by(dependencies.store, events)
    return tuple(
        _view(
            event,
            names.get(event.actor_id),
            shown.of(event, origins.get(event.seq)),
            reverts.get(event.seq),
        )
        for event in events
    )


class _Shown:
    """What of an origin is shown to a caller."""

    def __init__(self, call: Call) -> None:
        self._own = None if call.account is None else call.account.id
        try:
            require(call, "account:read")
        except NotPermitted:
            self._administers = False
        else:
            self._administers = True

    def of(self, event: StoredEvent, origin: Origin | None) -> EventOrigin | None:
        """None where there is none."""
        if origin is None:
            return None
        shown = EventOrigin(
            origin.credential_kind, origin.credential_id, origin.address, origin.user_agent
        )
        if self._administers or event.actor_id == self._own:
            return shown
        return replace(shown, address=None, user_agent=None)


def _view(
    event: StoredEvent,
    actor_name: str | None,
    origin: EventOrigin | None,
    reverted: int | None,
) -> EventView:
    return EventView(
        event.seq,
        event.type,
        EventEntity(event.entity_kind, event.entity_key, event.environment),
        event.revision,
        Actor(event.actor_id, actor_name),
        event.recorded_at,
        event.command_id,
        event.correlation_id,
        event.causation_id,
        reverted,
        origin,
        _body(event),
    )


def _body(event: StoredEvent) -> Any:
    """The event in its newest shape, without the hashes of secrets."""
    return shown_event(event.type, event.schema_version, event.body)
