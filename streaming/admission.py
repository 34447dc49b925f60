"""Snapshots by a budget of bytes: a storm of newcomers must not fill the memory.

A connection that waits for its snapshot stands in one queue, in order of arrival. It is admitted
while the snapshots that are under way (written, and not yet drained from their transports) stay
below the budget. Those who wait get pings, and nothing else.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streaming.connection import Connection
    from streaming.counters import Counters

AT_ONCE = 64
"""Snapshots that are written before the loop gets its turn."""


class Admission:
    """The queue before the snapshots of one process."""

    def __init__(self, budget_bytes: int, counters: Counters) -> None:
        self._budget_bytes = budget_bytes
        self._counters = counters
        self._waiting: dict[Connection, None] = {}
        self._under_way: dict[Connection, int] = {}
        self._bytes = 0
        self._scheduled = False

    @property
    def waiting(self) -> int:
        """How many connections wait for their snapshot."""
        return len(self._waiting)

    def enqueue(self, connection: Connection) -> None:
        """Let a connection whose session is WAITING stand in line."""
        self._waiting[connection] = None
        self._admit()

    def drained(self, connection: Connection) -> None:
        """A connection is writable again, or gone: its snapshot has left the memory."""
        self._bytes -= self._under_way.pop(connection, 0)
        self._admit()

    def forget(self, connection: Connection) -> None:
        """A connection is gone."""
        self._waiting.pop(connection, None)
        self.drained(connection)

    def _admit(self) -> None:
        if self._scheduled:
            return
        for _ in range(AT_ONCE):
            if not self._waiting or self._bytes >= self._budget_bytes:
                return
            connection = next(iter(self._waiting))
            del self._waiting[connection]
            self._send(connection)
        if self._waiting:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._again)

    def _again(self) -> None:
        self._scheduled = False
        self._admit()

    def _send(self, connection: Connection) -> None:
        environment, session = connection.environment, connection.session
        if environment is None:
            return
        frame = session.snapshot(environment.feed)
        if frame is None:  # not writable: it stands in line again once it is drained
            return
        self._counters.snapshots += 1
        connection.send(frame)
        if not session.writable:
            self._under_way[connection] = len(frame)
            self._bytes += len(frame)
