"""One log's folded state, as far as this process has read it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Generic, cast

from domain.events import EventVoided
from domain.facts import Entity, EntityKind, Fact
from domain.pages import Pages
from domain.upcast import UnknownEvent, decode_event
from eventstore.log import GENESIS, StoredEvent
from server.writing.aggregate import Decider, StateT
from server.writing.errors import FoldOutdated, LogPoisoned

_OF_ONE_PAGE = ("flag", "segment")
"""Kinds of entity whose events look at nothing beyond their page but the environments."""
_OF_ALL_PAGES = ("project", "environment")
MICROSECOND = timedelta(microseconds=1)
_BEGINNING = datetime.fromtimestamp(0, UTC)


class FoldedLog(Generic[StateT]):
    """The fold of events 1..``seq`` of one log.

    ``hash`` is the chain's hash at ``seq``, ``last_at`` when that event was recorded, and
    ``voided`` holds the seqs that are passed over. Changing it never awaits, so every reader
    sees a whole number of deltas.
    """

    def __init__(self, log_id: str, decider: Decider[StateT], voided: Iterable[int] = ()) -> None:
        self.log_id = log_id
        self.state = decider.initial()
        self.seq = 0
        self.hash = GENESIS
        self.last_at = _BEGINNING
        self.voided = frozenset(voided)
        self.stored_at = 0
        """The seq of the newest snapshot that is known to hold a fold like this one."""
        self.decider = decider
        self._pages: Pages | None = None
        """Those to which events may happen when they are read; None where all happen at once."""

    def begin_at(self, state: StateT, seq: int, hash_there: bytes) -> None:
        """Start from a snapshot instead of from nothing."""
        self.state, self.seq, self.hash, self.stored_at = state, seq, hash_there, seq

    def wait_for_readers(self) -> None:
        """Let events from now on happen to a page of the snapshot when somebody reads it.

        For a state of which a few rows are asked for, and then no more. An event that cannot be
        applied then raises :class:`LogPoisoned` where one of its rows is read.
        """
        self._pages = self.decider.pages_of(self.state)
        if self._pages is not None:
            self._pages.wait(partial(_happen, self.decider, self.voided))

    def finish(self) -> None:
        """Read, and let happen, all that has waited. Raises as :meth:`apply`."""
        pages = self.decider.pages_of(self.state)
        if pages is not None:
            pages.read_all()

    def follow(self, events: Sequence[StoredEvent]) -> None:
        """Fold the events from ``seq`` on, the one at ``seq`` itself first.

        Raises :class:`FoldOutdated` where that one is not the one that was folded: the log has
        another history now. Otherwise as :meth:`apply`.
        """
        if self.seq == 0:
            self.apply(events)
            return
        if not events or (events[0].seq, events[0].hash) != (self.seq, self.hash):
            raise FoldOutdated(self.log_id, f"it has another event at seq {self.seq}")
        self.last_at = events[0].recorded_at
        self.apply(events[1:])

    def apply(self, events: Sequence[StoredEvent]) -> None:
        """Fold the events that follow ``seq``.

        Raises :class:`LogPoisoned` at one that cannot be applied, and :class:`FoldOutdated` where
        one that was applied is voided; the state is then of no use.
        """
        for stored in events:
            if stored.seq != self.seq + 1:
                raise LogPoisoned(self.log_id, self.seq + 1, "the event is missing")
            self._apply(stored)
            self.seq, self.hash, self.last_at = stored.seq, stored.hash, stored.recorded_at

    def _apply(self, stored: StoredEvent) -> None:
        entity = _entity(stored)
        if self._pages is None or entity.kind not in _OF_ONE_PAGE:
            if self._pages is not None and entity.kind in _OF_ALL_PAGES:
                self._pages.read_all()
            _happen(self.decider, self.voided, self.state, stored)
        else:
            self._pages.defer(entity, stored)

    def extend(self, facts: Iterable[Fact[Any]], first_at: datetime, last_hash: bytes) -> None:
        """Fold facts that this process has just appended; each is a microsecond later."""
        for fact in facts:
            self.decider.evolve(self.state, fact, self.seq + 1, first_at)
            self.seq += 1
            self.last_at = first_at
            first_at += MICROSECOND
        self.hash = last_hash


def _happen(
    decider: Decider[StateT], voided: frozenset[int], state: StateT, stored: StoredEvent
) -> None:
    event = fold_stored(decider, state, stored, voided)
    if isinstance(event, EventVoided) and event.seq not in voided:
        raise FoldOutdated(stored.log_id, f"event {event.seq} was voided")


def fold_stored(
    decider: Decider[StateT], state: StateT, stored: StoredEvent, voided: frozenset[int]
) -> object | None:
    """Fold one event into a state, or pass over it; answers the event, None where passed over.

    Raises :class:`LogPoisoned` where it cannot be applied; the state is then of no use.
    """
    entity, revision = _entity(stored), stored.revision
    seq, at = stored.seq, stored.recorded_at
    try:
        event = None if seq in voided else _decoded(stored)
        if event is None:
            decider.pass_over(state, entity, revision, seq, at)
        else:
            decider.evolve(state, Fact(event, entity, revision), seq, at)
    except Exception as error:  # a log's border: whatever is wrong with it is its own
        raise LogPoisoned(stored.log_id, seq, str(error)) from error
    return event


def _entity(stored: StoredEvent) -> Entity:
    kind = cast("EntityKind", stored.entity_kind)
    return Entity(kind, stored.entity_key, stored.environment)


def whole_deltas(events: Sequence[StoredEvent]) -> Sequence[StoredEvent]:
    """The events through the last one that ends a delta: nobody sees half an atomic batch."""
    end = next((n for n in range(len(events), 0, -1) if events[n - 1].ends_delta), 0)
    return events[:end]


def _decoded(stored: StoredEvent) -> object | None:
    """The event, or None where it is unknown and may be passed over."""
    try:
        return cast("object", decode_event(stored.type, stored.schema_version, stored.body))
    except UnknownEvent:
        if stored.critical:
            raise
        return None
