"""Snapshots by a budget of bytes: a storm of newcomers must not fill the memory.

A connection that waits for its snapshot stands in one queue, in order of arrival. Those who wait
get pings, and nothing else. What is sent is one object for all: uvloop keeps a reference to it for
each connection, never a copy. So what grows with the number of connections is what the kernel has
taken over and the client has not: a *share* for each snapshot that is under way (written, and not
yet drained from its transport), and those share a budget. A client that takes its time does not
keep its share: the kernel holds little of what moves slowly, and others are waiting.

While a snapshot is being made aside, those who need it stand apart, in order, so that they hold up
no other environment; when it is there they go on before whoever came later.

What was superseded lives on while slow clients are taking it in: old snapshots, broadcasts and
catch-ups to heads that are past, and the values of single pages. Such frames have a budget of as
many bytes, each counted once; beyond it, those who hold the oldest are closed.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import msgspec
from halyard_protocol.close_codes import CloseCode
from halyard_protocol.session.server import State

from streaming.snapshot_maker import SnapshotMaker, Wanted

if TYPE_CHECKING:
    from streaming.connection import Connection
    from streaming.counters import Counters
    from streaming.environment import Environment

SHARE_BYTES: Final = 256 * 1024
"""What the kernel may be expected to hold of one snapshot: what was sent and not acknowledged, and
what TCP_NOTSENT_LOWAT lets it take beyond that."""
SLICE_S: Final = 0.003
"""How long snapshots are written before the loop gets its turn."""


class _UnderWay(msgspec.Struct):
    """A frame that its client has not taken in yet."""

    frame: bytes
    share: int
    since_s: float


class Admission:
    """The queue before the snapshots of one process."""

    def __init__(self, budget_bytes: int, counters: Counters, share_kept_s: float) -> None:
        self._budget_bytes = budget_bytes
        self._share_kept_s = share_kept_s
        self._counters = counters
        self._maker = SnapshotMaker(self._made)
        self._waiting: dict[Connection, None] = {}
        self._apart: dict[Wanted, dict[Connection, None]] = {}
        """Those whose snapshot is being made."""
        self._under_way: dict[Connection, _UnderWay] = {}
        self._sharing: dict[Connection, _UnderWay] = {}
        """Those of them that have a share, in the order in which they got it."""
        self._shares = 0
        self._holders: dict[int, dict[Connection, None]] = {}
        """By the identity of a frame that is under way, those that was written first before."""
        self._held_bytes = 0
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        """Set while the next in line waits for a share that was kept for long enough."""
        self._closing = False

    @property
    def waiting(self) -> int:
        """How many connections wait for their snapshot."""
        return len(self._waiting) + sum(map(len, self._apart.values()))

    def enqueue(self, connection: Connection) -> None:
        """Let a connection whose session is WAITING stand in line."""
        if not any(connection in apart for apart in self._apart.values()):
            self._waiting[connection] = None
        self._schedule()

    def holds(self, connection: Connection, frame: bytes, share: int = 0) -> None:
        """A connection was written a frame, and is not writable now.

        Of several since it was writable, the largest counts.
        """
        before = self._under_way.get(connection)
        if before is not None and len(before.frame) >= len(frame):
            return
        self._release(connection)
        under_way = self._under_way[connection] = _UnderWay(frame, share, time.monotonic())
        if share:
            self._sharing[connection] = under_way
            self._shares += share
        holders = self._holders.setdefault(id(frame), {})
        if not holders:
            self._held_bytes += len(frame)
        holders[connection] = None
        if self._held_bytes > self._budget_bytes and not self._closing:
            self._closing = True
            asyncio.get_running_loop().call_soon(self._close_the_slowest)

    def drained(self, connection: Connection) -> None:
        """A connection is writable again, or gone: what it was written has left the memory."""
        self._release(connection)
        self._schedule()

    def _release(self, connection: Connection) -> None:
        under_way = self._under_way.pop(connection, None)
        if under_way is None:
            return
        self._take_share(connection)
        holders = self._holders[id(under_way.frame)]
        del holders[connection]
        if not holders:
            del self._holders[id(under_way.frame)]
            self._held_bytes -= len(under_way.frame)

    def _take_share(self, connection: Connection) -> None:
        under_way = self._sharing.pop(connection, None)
        if under_way is not None:
            self._shares -= under_way.share

    def forget(self, connection: Connection) -> None:
        """A connection is gone."""
        self._waiting.pop(connection, None)
        for apart in self._apart.values():
            apart.pop(connection, None)
        self.drained(connection)

    def _schedule(self) -> None:
        if self._waiting and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._admit)

    def _admit(self) -> None:
        self._scheduled = False
        until_s = time.monotonic() + SLICE_S
        while self._waiting and self._shares < self._budget_bytes:
            connection = next(iter(self._waiting))
            del self._waiting[connection]
            if connection.environment is not None:
                self._send(connection, connection.environment)
            if time.monotonic() >= until_s:
                self._schedule()
                return
        if self._waiting and self._sharing and self._timer is None:
            self._wait()

    def _wait(self) -> None:
        """Until the oldest share was kept for long enough."""
        oldest = next(iter(self._sharing.values()))
        due_s = oldest.since_s + self._share_kept_s - time.monotonic()
        self._timer = asyncio.get_running_loop().call_later(max(0.0, due_s), self._waited)

    def _waited(self) -> None:
        self._timer = None
        taken_s = time.monotonic() - self._share_kept_s
        for connection, under_way in tuple(self._sharing.items()):
            if under_way.since_s > taken_s:
                break
            self._take_share(connection)
        self._schedule()

    def _send(self, connection: Connection, environment: Environment) -> None:
        session, feed = connection.session, environment.feed
        if session.state is not State.WAITING or not session.writable:
            return  # once it is drained it stands in line again
        wanted = (feed, session.wire)
        if feed.snapshot_due(session.wire):
            self._maker.make(wanted)
        frame = session.snapshot(feed)
        if frame is None:
            self._apart.setdefault(wanted, {})[connection] = None
            return
        self._counters.snapshots += 1
        connection.send(frame)
        if connection.session.writable:  # still, although a frame was written
            environment.advance(connection)
            return
        self.holds(connection, frame, min(len(frame), SHARE_BYTES))

    # --- snapshots that were made aside

    def _made(self, wanted: Wanted, failure: BaseException | None) -> None:
        apart = self._apart.pop(wanted, {})
        if failure is not None:
            for connection in apart:
                connection.close(CloseCode.INTERNAL, "the snapshot could not be made")
            return
        self._counters.snapshots_made += 1
        self._waiting = apart | self._waiting
        self._schedule()

    def _close_the_slowest(self) -> None:
        """Close whoever holds the oldest of too many frames; never the newest."""
        self._closing = False
        while self._held_bytes > self._budget_bytes and len(self._holders) > 1:
            for connection in tuple(next(iter(self._holders.values()))):
                connection.close(CloseCode.TOO_SLOW, "what was sent was taken in too slowly")
                self._release(connection)
