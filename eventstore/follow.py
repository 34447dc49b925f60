"""Which logs have grown: wake-ups, with a poll as the net beneath them.

Whoever listens for the word that follows a commit calls :meth:`Follower.nudge`. Words get lost, so
a poll of all heads, a few times a second, finds what nobody told. A wake-up carries no events: the
reader reads the log.

Life cycle: the owner runs :meth:`Follower.run` in a task of its own and iterates the follower in
one other. Both are simply cancelled.

Invariants:
    Every log is woken once at the start, then whenever its (epoch, seq) differs from the last one
    told, within the poll's interval at most.
    Wake-ups of one log that nobody took yet are merged: memory is bounded by the number of logs.
    A nudge of what is known wakes nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec

from eventstore.errors import StoreError
from eventstore.store import EventStore

POLL_S = 0.25


class Wake(msgspec.Struct, frozen=True):
    """A log stands at ``seq``, or beyond by now."""

    log_id: str
    seq: int
    epoch: int | None
    """Of the log's history, where the poll has seen it; None after a nudge."""


class Follower:
    """An asynchronous iterator over :class:`Wake`, for one reader."""

    def __init__(self, store: EventStore, poll_s: float = POLL_S) -> None:
        self._store = store
        self._poll_s = poll_s
        self._told: dict[str, tuple[int | None, int]] = {}
        """(epoch, seq) of each log as last heard; the epoch is None after a nudge."""
        self._pending: dict[str, tuple[int | None, int]] = {}
        self._has_pending = asyncio.Event()
        self.trouble: StoreError | None = None
        """Why the last poll failed; None where it did not."""

    def nudge(self, log_id: str, seq: int) -> None:
        """Somebody says that a log has reached ``seq``."""
        epoch, known = self._told.get(log_id, (None, 0))
        if seq > known:
            self._told[log_id] = (epoch, seq)
            self._wake(log_id, None, seq)

    async def run(self) -> None:
        """Poll until cancelled. A database that is away is noted in ``trouble`` and asked again."""
        while True:
            try:
                await self._poll()
                self.trouble = None
            except StoreError as error:
                self.trouble = error
            await asyncio.sleep(self._poll_s)

    async def __aiter__(self) -> AsyncIterator[Wake]:
        while True:
            await self._has_pending.wait()
            # The one that has waited longest: a busy log must not hide the others.
            log_id = next(iter(self._pending))
            epoch, seq = self._pending.pop(log_id)
            if not self._pending:
                self._has_pending.clear()
            yield Wake(log_id, seq, epoch)

    async def _poll(self) -> None:
        before = dict(self._told)
        for log_id, epoch, seq in await self._store.positions():
            told = self._told.get(log_id)
            # A nudge that came while the poll was on its way knows better than the poll.
            if told == before.get(log_id) and told != (epoch, seq):
                self._heard(log_id, told, (epoch, seq))

    def _heard(
        self, log_id: str, told: tuple[int | None, int] | None, now: tuple[int, int]
    ) -> None:
        epoch, seq = now
        if told is not None and told[1] == seq and told[0] is None:
            self._told[log_id] = now
        else:
            self._tell(log_id, epoch, seq)

    def _tell(self, log_id: str, epoch: int | None, seq: int) -> None:
        self._told[log_id] = (epoch, seq)
        self._wake(log_id, epoch, seq)

    def _wake(self, log_id: str, polled_epoch: int | None, seq: int) -> None:
        untaken, _ = self._pending.get(log_id, (None, 0))
        self._pending[log_id] = (untaken if polled_epoch is None else polled_epoch, seq)
        self._has_pending.set()
