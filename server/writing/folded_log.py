"""One log's folded state, as far as this process has read it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, cast

from domain.evolve import CannotFold
from domain.facts import Entity, EntityKind, Fact
from domain.upcast import MalformedEvent, UnknownEvent, decode_event
from eventstore.log import GENESIS, StoredEvent
from server.writing.aggregate import Decider, StateT
from server.writing.errors import LogPoisoned

MICROSECOND = timedelta(microseconds=1)
_BEGINNING = datetime.fromtimestamp(0, UTC)


class FoldedLog(Generic[StateT]):
    """The fold of events 1..``seq`` of one log.

    ``hash`` is the chain's hash at ``seq``, ``last_at`` when that event was recorded, and
    ``voided`` holds the seqs that are passed over. Changing it never awaits, so every reader
    sees a whole number of events.
    """

    def __init__(self, log_id: str, decider: Decider[StateT], voided: Iterable[int] = ()) -> None:
        self.log_id = log_id
        self.state = decider.initial()
        self.seq = 0
        self.hash = GENESIS
        self.last_at = _BEGINNING
        self.voided = frozenset(voided)
        self.decider = decider

    def begin_at(self, state: StateT, seq: int, hash_there: bytes) -> None:
        """Start from a snapshot instead of from nothing."""
        self.state, self.seq, self.hash = state, seq, hash_there

    def apply(self, events: Iterable[StoredEvent]) -> None:
        """Fold the events that follow ``seq``.

        Raises :class:`LogPoisoned` at one that cannot be applied; the state is then of no use.
        """
        for stored in events:
            self._apply(stored)
            self.seq, self.hash, self.last_at = stored.seq, stored.hash, stored.recorded_at

    def _apply(self, stored: StoredEvent) -> None:
        entity = Entity(
            cast("EntityKind", stored.entity_kind), stored.entity_key, stored.environment
        )
        event = None if stored.seq in self.voided else _decoded(stored)
        if event is None:
            self.decider.pass_over(
                self.state, entity, stored.revision, stored.seq, stored.recorded_at
            )
            return
        try:
            fact = Fact(event, entity, stored.revision)
            self.decider.evolve(self.state, fact, stored.seq, stored.recorded_at)
        except CannotFold as error:
            raise LogPoisoned(stored.log_id, stored.seq, str(error)) from error

    def extend(self, facts: Iterable[Fact[Any]], first_at: datetime, last_hash: bytes) -> None:
        """Fold facts that this process has just appended; each is a microsecond later."""
        for fact in facts:
            self.decider.evolve(self.state, fact, self.seq + 1, first_at)
            self.seq += 1
            self.last_at = first_at
            first_at += MICROSECOND
        self.hash = last_hash


def _decoded(stored: StoredEvent) -> object | None:
    """The event, or None where it is unknown and may be passed over."""
    try:
        return cast("object", decode_event(stored.type, stored.schema_version, stored.body))
    except UnknownEvent as error:
        if stored.critical:
            raise LogPoisoned(stored.log_id, stored.seq, str(error)) from error
        return None
    except MalformedEvent as error:
        raise LogPoisoned(stored.log_id, stored.seq, str(error)) from error
