"""A log's state from its events and snapshots: now, or at any seq that was."""

from __future__ import annotations

from typing import Generic

import structlog

from domain.errors import StaleRevision
from domain.events import EventVoided
from domain.upcast import decode_event
from eventstore.log import Snapshot, StoredEvent
from eventstore.searching import Search
from eventstore.store import EventStore
from server.writing.aggregate import Decider, StateT
from server.writing.errors import LogPoisoned
from server.writing.folded_log import FoldedLog

MAX_VOIDED = 10_000

log = structlog.get_logger(__name__)


class StaleWithEvents(StaleRevision):
    """A stale revision, together with what happened to the entity since."""

    def __init__(self, stale: StaleRevision, between: tuple[StoredEvent, ...]) -> None:
        super().__init__(stale.entity, stale.expected, stale.actual)
        self.command_number = stale.command_number
        self.between = between
        """In order; the newest hundred where there are more."""


class LogHistory(Generic[StateT]):
    """Reads logs of one kind of aggregate."""

    def __init__(self, store: EventStore, decider: Decider[StateT]) -> None:
        self._store = store
        self._decider = decider

    async def load(self, log_id: str, upto: int | None = None) -> FoldedLog[StateT]:
        """Fold a log to its end, or to ``upto``, from the nearest snapshot.

        Raises :class:`~server.writing.errors.LogPoisoned` or a store's error.
        """
        voided = await self._store.search(
            log_id, Search(type=EventVoided.__name__, limit=MAX_VOIDED)
        )
        folded = FoldedLog(log_id, self._decider, _voided_seqs(voided))
        await self._begin_at_snapshot(folded, upto)
        await self.catch_up(folded, upto)
        return folded

    async def _begin_at_snapshot(self, folded: FoldedLog[StateT], upto: int | None) -> None:
        snapshot = await self._store.load_snapshot(
            folded.log_id, self._decider.fold, self._decider.fold_version, upto
        )
        if snapshot is not None:
            state = self._decider.load(snapshot.state)
            folded.begin_at(state, snapshot.seq, snapshot.hash)

    async def catch_up(self, folded: FoldedLog[StateT], upto: int | None = None) -> None:
        """Fold what the log has after the state's seq."""
        async for page in self._store.read_pages(folded.log_id, folded.seq, upto):
            folded.apply(page)

    async def save(self, folded: FoldedLog[StateT]) -> None:
        """Keep the state as a snapshot, so that a later start folds less."""
        await self._store.save_snapshot(
            Snapshot(
                folded.log_id,
                self._decider.fold,
                self._decider.fold_version,
                folded.seq,
                folded.hash,
                self._decider.dump(folded.state),
            )
        )

    async def with_events_between(self, log_id: str, stale: StaleRevision) -> StaleWithEvents:
        """Add to a stale revision what its caller has missed."""
        between = await self._store.events_between_revisions(log_id, stale.entity, stale.expected)
        return StaleWithEvents(stale, tuple(between))


def _voided_seqs(events: list[StoredEvent]) -> frozenset[int]:
    return frozenset(_voided_seq(event) for event in events)


def _voided_seq(stored: StoredEvent) -> int:
    event = decode_event(stored.type, stored.schema_version, stored.body)
    if not isinstance(event, EventVoided):
        raise LogPoisoned(stored.log_id, stored.seq, "not an EventVoided")
    return event.seq
