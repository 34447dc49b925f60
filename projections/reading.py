"""Reading a log into a fold: from the nearest snapshot, in pages that end where deltas end.

A fold is of use only on the history it was folded from. So every read begins with the event that
the fold has applied last, and compares its hash.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing, suppress
from datetime import datetime
from typing import TypeAlias, TypeVar

from halyard_protocol.codec import UNREADABLE

from domain.events import EventVoided
from domain.upcast import MalformedEvent, UnknownEvent, decode_event
from eventstore.log import Snapshot, StoredEvent
from eventstore.searching import Search
from eventstore.store import EventStore
from projections.fold import (
    FOLD_VERSION,
    SNAPSHOT_NAME,
    RulesetFold,
    VoidedTooLate,
    load,
)

SNAPSHOT_EVERY = 5_000
"""Events after which the fold is stored anew."""
_VOIDED_PAGE = 1_000
_TIMES_KEPT = 4_096

T = TypeVar("T")

Progress: TypeAlias = Callable[[int], None]
"""Called now and then with the seq that was reached."""


class Poisoned(Exception):
    """A log holds an event that this program cannot apply; it stands still before that delta."""

    def __init__(self, stored: StoredEvent, reason: str) -> None:
        self.log_id = stored.log_id
        self.seq = stored.seq
        self.type = stored.type
        self.reason = reason
        super().__init__(f"log {stored.log_id}: {stored.type} at seq {stored.seq}: {reason}")


class HistoryForked(Exception):
    """What was folded, or what Redis has, is not what the log says."""

    def __init__(self, log_id: str, detail: str) -> None:
        self.log_id = log_id
        super().__init__(f"log {log_id}: {detail}")


def fold_events(fold: RulesetFold, events: Iterable[StoredEvent]) -> None:
    """Apply events in order. Raises :class:`Poisoned`, also for a missing event, ``VoidedTooLate``.

    After any of those the fold is of no further use.
    """
    stored: StoredEvent
    collecting = gc.isenabled()
    # A fold makes no cycles, but so many objects that looking for cycles would take a quarter of
    # its time. Nothing is awaited until collecting goes on.
    gc.disable()
    try:
        for stored in events:
            fold.apply(stored)
    except VoidedTooLate:
        raise
    except Exception as error:
        # The border of a projection batch: whatever the fold stumbles over concerns this log only.
        raise Poisoned(stored, f"{type(error).__name__}: {error}") from error
    finally:
        if collecting:
            gc.enable()


async def voided_seqs(store: EventStore, log_id: str) -> frozenset[int]:
    """The seqs of all events of a log that readers pass over."""
    seqs: set[int] = set()
    after = 0
    while True:
        search = Search(type=EventVoided.__name__, after=after, limit=_VOIDED_PAGE)
        page = await store.search(log_id, search)
        seqs.update(_voided_by(page))
        if len(page) < _VOIDED_PAGE:
            return frozenset(seqs)
        after = page[-1].seq


def _voided_by(page: Iterable[StoredEvent]) -> Iterator[int]:
    for stored in page:
        # One that cannot be read says nothing here; the fold stops before it, and says why.
        with suppress(UnknownEvent, MalformedEvent):
            yield decode_event(stored.type, stored.schema_version, stored.body).seq


class LogReader:
    """One log's fold, and the way on from it. For one task; made by :func:`open_log`."""

    def __init__(self, store: EventStore, fold: RulesetFold) -> None:
        self._store = store
        self.fold = fold
        self._stored_at = fold.seq
        """The seq of the snapshot that the fold came from, or that was made of it last."""
        self._times: deque[datetime] = deque(maxlen=_TIMES_KEPT)
        """When the newest events that were folded here were committed, in order."""
        self.folded_us = 0
        """When events were folded last, in microseconds since the epoch."""

    @property
    def log_id(self) -> str:
        """The log."""
        return self.fold.log_id

    async def advance(self, upto: int | None = None, progress: Progress | None = None) -> None:
        """Fold to the log's end, or to the last end of a delta that is not beyond ``upto``.

        Raises :class:`HistoryForked` where the fold is not of this history, and what
        :func:`fold_events` raises; after any of those the reader is of no further use.
        """
        async with aclosing(self.pages(upto)) as pages:
            async for _ in pages:
                if progress is not None:
                    progress(self.fold.seq)

    async def pages(self, upto: int | None = None) -> AsyncGenerator[int, None]:
        """The same as :meth:`advance`, stopping after each page with the number of its events."""
        fold = self.fold
        if upto is not None and upto <= fold.seq:
            return
        begun = fold.seq == 0
        pages = self._store.read_pages(self.log_id, max(fold.seq - 1, 0), upto)
        async with aclosing(_one_ahead(pages)) as ahead:
            async for page in ahead:
                events = page if begun else self._after_own(page)
                begun = True
                whole = events[: _whole(events)]
                fold_events(fold, whole)
                if whole:
                    self._times.extend([stored.recorded_at for stored in whole[-_TIMES_KEPT:]])
                    self.folded_us = time.time_ns() // 1000
                yield len(whole)
        if not begun:
            raise HistoryForked(self.log_id, f"it ends before seq {fold.seq}, which was folded")

    def _after_own(self, page: list[StoredEvent]) -> list[StoredEvent]:
        if page[0].seq != self.fold.seq or page[0].hash != self.fold.hash:
            raise HistoryForked(self.log_id, f"it has another event at seq {self.fold.seq}")
        return page[1:]

    def committed_us(self, seq: int) -> int:
        """When an event was committed, in microseconds since the epoch, by PostgreSQL's clock.

        Of one that was folded long ago: a later time. 0 where nothing was folded here since.
        """
        back = self.fold.seq - seq
        if not self._times or back < 0:
            return 0
        return int(self._times[max(-1 - back, -len(self._times))].timestamp() * 1_000_000)

    async def hash_at(self, seq: int) -> str | None:
        """The chain's hash at a seq, in hexadecimal; None where the log has no such event."""
        found = await self._store.read(self.log_id, seq - 1, 1)
        return found[0].hash.hex() if found else None

    async def save_snapshot(self, every: int = SNAPSHOT_EVERY) -> None:
        """Store the fold, if it went ``every`` events beyond the last one stored."""
        if self.fold.seq - self._stored_at < every:
            return
        self._stored_at = seq = self.fold.seq
        # In a thread, because it may take long; the task that owns the fold waits for it here.
        state = await asyncio.to_thread(self.fold.dump)
        await self._store.save_snapshot(
            Snapshot(self.log_id, SNAPSHOT_NAME, FOLD_VERSION, seq, self.fold.hash, state)
        )


async def _one_ahead(pages: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    """The same pages; while one is dealt with, the database works at the next."""
    following = asyncio.ensure_future(anext(pages, None))
    try:
        while (page := await following) is not None:
            following = asyncio.ensure_future(anext(pages, None))
            await asyncio.sleep(0)  # lets it send its question
            yield page
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


def _whole(events: Sequence[StoredEvent]) -> int:
    """How many events there are through the last one that ends a delta."""
    return next((n for n in range(len(events), 0, -1) if events[n - 1].ends_delta), 0)


async def open_log(
    store: EventStore, log_id: str, *, upto: int | None = None, from_snapshot: bool = True
) -> LogReader:
    """A reader whose fold stands at the newest usable snapshot not beyond ``upto``, or at 0."""
    voided = await voided_seqs(store, log_id)
    fold = await _stored_fold(store, log_id, voided, upto) if from_snapshot else None
    return LogReader(store, fold or RulesetFold(log_id, voided))


async def _stored_fold(
    store: EventStore, log_id: str, voided: frozenset[int], upto: int | None
) -> RulesetFold | None:
    snapshot = await store.load_snapshot(log_id, SNAPSHOT_NAME, FOLD_VERSION, upto)
    if snapshot is None:
        return None
    try:
        fold = await asyncio.to_thread(load, snapshot.state)
    except UNREADABLE:
        # Written by a build that forgot to raise its version: the log itself always serves.
        return None
    if fold.hash != snapshot.hash or _upto(voided, fold.seq) != _upto(fold.voided, fold.seq):
        return None
    fold.voided = voided
    return fold


def _upto(seqs: Iterable[int], last: int) -> set[int]:
    return {seq for seq in seqs if seq <= last}
