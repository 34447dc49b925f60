"""Rounds over the connections of one environment, in slices.

A round brings the news to everybody: the shared frame of a delta, or, where the wire epoch has
changed, word that a snapshot is due. Between slices the loop gets its turn. What changes during a
round is told in the next: there is never more than one under way, and never a queue of them.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from halyard_protocol.session.feed import Broadcast
from halyard_protocol.session.server import State

from streaming.news import News

if TYPE_CHECKING:
    from streaming.connection import Connection
    from streaming.environment import Environment

SLICE = 512
"""Connections per slice: about 5 ms, of which the loop spends nine tenths in the kernel, sending.

Counted rather than timed, because uvloop sends after the slice, where no clock of ours runs.
"""


class Rounds:
    """At most one round over an environment's connections."""

    __slots__ = ("_broadcast", "_environment", "_left", "_news", "_scheduled", "_to", "_told")

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._left: list[Connection] = []
        """Whom the present round has still to reach; empty between rounds."""
        self._broadcast: Broadcast | None = None
        """What it tells; None where each connection is told what it lacks."""
        self._to: tuple[str, int] = ("", 0)
        """The wire epoch and seq that it takes everybody to."""
        self._scheduled = False
        self._news: News | None = None
        """The oldest delta that was heard and that no round tells yet."""
        self._told: News | None = None
        """What the present round tells, where its times are of interest."""

    def heard(self, committed_us: int, sent_us: int) -> None:
        """A delta comes; its times as :class:`projections.rulesets.Delta` has them."""
        counters = self._environment.counters
        if sent_us:
            counters.hear_s.observe(time.time() - sent_us / 1_000_000)
        if self._news is None:
            self._news = News(counters, committed_us)

    def repeated(self) -> None:
        """What was heard last is no news."""
        self._news = None

    def merged(self, since: int) -> None:
        """Documents after ``since`` have changed."""
        if not self._left:
            self._start(since)

    def renewed(self) -> None:
        """The wire epoch has changed: whatever was being told is obsolete."""
        self._begin(None)

    def _start(self, since: int) -> None:
        feed = self._environment.feed
        self._environment.counters.broadcasts += 1
        self._begin(feed.broadcast(since) if since >= feed.horizon else None)

    def _begin(self, broadcast: Broadcast | None) -> None:
        feed = self._environment.feed
        self._broadcast = broadcast
        self._to = (feed.epoch, feed.changed)
        self._left = list(self._environment.connections)
        news, self._news = self._news, None
        self._told = news if broadcast is not None and self._left else None
        if self._told is not None:
            asyncio.get_running_loop().call_soon(self._told.begun)
        if not self._scheduled:
            self._slice()

    def _slice(self) -> None:
        self._scheduled = False
        batch, self._left = self._left[-SLICE:], self._left[:-SLICE]
        try:
            if self._broadcast is None:
                while batch:
                    self._environment.advance(batch.pop())
            else:
                self._tell(self._broadcast, batch)
        finally:
            # A fault with one connection must not be the end of the round, or of all rounds.
            self._left += batch
            if self._left:
                self._scheduled = True
                asyncio.get_running_loop().call_soon(self._slice)
            else:
                self._end()

    def _tell(self, broadcast: Broadcast, batch: list[Connection]) -> None:
        feed, sent, size = self._environment.feed, 0, 0
        while batch:
            connection = batch.pop()
            session, transport = connection.session, connection.transport
            frame = session.offer(feed, broadcast)
            if frame is not None and transport is not None:
                transport.write(frame)
                sent += 1
                size += len(frame)
                if not session.writable:
                    self._environment.holds(connection, frame)
            elif session.state is State.WAITING:
                self._environment.advance(connection)
        counters = self._environment.counters
        counters.broadcast_frames += sent
        if self._told is not None:
            self._told.written += sent
        counters.bytes_sent += size

    def _end(self) -> None:
        told, self._told = self._told, None
        if told is not None:
            asyncio.get_running_loop().call_soon(told.ended)
        feed, (epoch, to) = self._environment.feed, self._to
        if epoch == feed.epoch and to < feed.changed:
            self._start(to)
