"""A log's state from its events and snapshots: now, or at any seq that was."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from typing import Generic

import structlog
from halyard_protocol.codec import UNREADABLE

from domain.errors import StaleRevision
from domain.events import EventVoided
from domain.upcast import MalformedEvent, UnknownEvent, decode_event
from eventstore.log import Snapshot, StoredEvent
from eventstore.searching import Search
from eventstore.store import EventStore
from server.writing.aggregate import Decider, StateT
from server.writing.errors import FoldOutdated, LogPoisoned
from server.writing.folded_log import FoldedLog

VOIDED_PAGE = 1_000

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

        Raises :class:`~server.writing.errors.LogPoisoned` or a store's error. Of the past only
        what is asked for is read: see :meth:`FoldedLog.wait_for_readers`.
        """
        while True:
            voids = await self.voids(log_id)
            folded = FoldedLog(log_id, self._decider, voids)
            await self._begin_at_snapshot(folded, voids, upto)
            try:
                if upto is None:
                    folded.finish()
                else:
                    folded.wait_for_readers()
                await self.catch_up(folded, upto)
            except FoldOutdated as outdated:
                log.info("folding_anew", log=log_id, why=str(outdated))
            else:
                return folded

    async def _begin_at_snapshot(
        self, folded: FoldedLog[StateT], voids: Mapping[int, int], upto: int | None
    ) -> None:
        decider = self._decider
        snapshot = await self._store.load_snapshot(
            folded.log_id, decider.fold, decider.fold_version, upto
        )
        if snapshot is None:
            return
        # One from before an event in it was voided holds what must be passed over.
        if any(voided <= snapshot.seq < by for voided, by in voids.items()):
            return
        try:
            folded.begin_at(decider.load(snapshot.state), snapshot.seq, snapshot.hash)
        except UNREADABLE as error:
            # Written by a build that forgot to raise its version: the log itself always serves.
            log.warning(
                "snapshot_not_readable", log=folded.log_id, seq=snapshot.seq, why=str(error)
            )

    async def catch_up(self, folded: FoldedLog[StateT], upto: int | None = None) -> None:
        """Fold what the log has after the state's seq.

        Raises :class:`~server.writing.errors.FoldOutdated` where the state is not of this
        history, and :class:`~server.writing.errors.LogPoisoned`.
        """
        begun = False
        pages = self._store.read_pages(folded.log_id, max(folded.seq - 1, 0), upto)
        async with aclosing(pages):
            async for page in pages:
                if begun:
                    folded.apply(page)
                else:
                    folded.follow(page)
                begun = True
        if not begun:
            folded.follow(())

    async def still_holds(self, folded: FoldedLog[StateT]) -> bool:
        """Whether a past state is still what its log was then: not restored, nothing voided."""
        at = await self._store.read(folded.log_id, folded.seq - 1, 1)
        if [event.hash for event in at] != [folded.hash]:
            return False
        return folded.voided == (await self.voids(folded.log_id)).keys()

    async def save(self, folded: FoldedLog[StateT]) -> None:
        """Keep the state as it is now as a snapshot, so that a later start folds less.

        It is written in a thread: that of a large project takes longer than anybody may wait.
        """
        folded.stored_at = seq = folded.seq
        chain_hash, write = folded.hash, self._decider.writing(folded.state)
        written = await asyncio.to_thread(write)
        fold = (self._decider.fold, self._decider.fold_version)
        await self._store.save_snapshot(Snapshot(folded.log_id, *fold, seq, chain_hash, written))

    async def with_events_between(self, log_id: str, stale: StaleRevision) -> StaleWithEvents:
        """Add to a stale revision what its caller has missed."""
        if stale.actual <= stale.expected:  # nothing; and the key may be one that nothing can have
            return StaleWithEvents(stale, ())
        between = await self._store.events_between_revisions(log_id, stale.entity, stale.expected)
        return StaleWithEvents(stale, tuple(between))

    async def voids(self, log_id: str) -> dict[int, int]:
        """By the seq of each voided event, that of the event which voided it."""
        voids: dict[int, int] = {}
        after = 0
        while True:
            search = Search(type=EventVoided.__name__, after=after, limit=VOIDED_PAGE)
            page = await self._store.search(log_id, search)
            voids |= {_voided_seq(stored): stored.seq for stored in page}
            if len(page) < VOIDED_PAGE:
                return voids
            after = page[-1].seq


def _voided_seq(stored: StoredEvent) -> int:
    try:
        event = decode_event(stored.type, stored.schema_version, stored.body)
    except (UnknownEvent, MalformedEvent) as error:
        raise LogPoisoned(stored.log_id, stored.seq, str(error)) from error
    return int(event.seq)
