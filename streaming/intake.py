"""Whoever sends much is read in turn, one connection per turn of the loop.

The loop would read a socket on while it is full, eight megabytes before any other's turn: thirty
clients that send as fast as they can would make everybody wait for a second. So a connection of
which a large piece was read is not read from again before those in front of it in the line.

What is read can be much more than what was sent, for it was deflated. So the messages of a turn are
weighed, and beyond :data:`TURN_KIB` what has come already is kept for its turn in the line.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streaming.connection import Connection

LARGE_BYTES = 16 * 1024
"""What is less is read at once: what SDKs say is shorter, but for what they have counted."""
TURN_KIB = 64
"""Of messages in one turn of the loop, and as much of those in the line: the most tedious ones take
4 ms. What is shorter than a KiB has no weight."""
MOST_KEPT_BYTES = 32 * 1024 * 1024
"""Who has to be kept waiting beyond that is closed."""

NOTEWORTHY_BYTES = 4 * 1024
"""Of an unfinished message; less than that everybody may keep."""
MOST_UNFINISHED_BYTES = 32 * 1024 * 1024
"""Of all unfinished messages; whoever began the oldest is cut off where there are more."""


class Intake:
    """The line of those who are read on in turn."""

    def __init__(self) -> None:
        self._line: dict[Connection, None] = {}
        self._kept: dict[Connection, bytes] = {}
        """What has come, and was not read yet."""
        self._kept_bytes = 0
        self._unfinished: dict[Connection, int] = {}
        """Bytes of messages of which the rest has not come, those begun first before."""
        self._unfinished_bytes = 0
        self._weight = 0
        self._scheduled = False

    def __contains__(self, connection: Connection) -> bool:
        return connection in self._line

    @property
    def exhausted(self) -> bool:
        """Whether enough was read in this turn of the loop."""
        return self._weight >= TURN_KIB

    def weighed(self, weight_kib: int) -> None:
        """A message is about to be read."""
        self._weight += weight_kib
        self._schedule()

    def enter(self, connection: Connection) -> None:
        """Read on from a connection, which is not read from now, when its turn comes."""
        self._line[connection] = None
        self._schedule()

    def keep(self, connection: Connection, rest: bytes) -> bool:
        """Keep what has come until it is taken, after :meth:`enter`; False where it is too much."""
        if self._kept_bytes + len(rest) > MOST_KEPT_BYTES:
            return False
        self._kept[connection] = rest
        self._kept_bytes += len(rest)
        return True

    def take(self, connection: Connection) -> bytes:
        """What was kept of a connection."""
        rest = self._kept.pop(connection, b"")
        self._kept_bytes -= len(rest)
        return rest

    def lacks(self, connection: Connection, held: int) -> None:
        """So many bytes are held of a connection's message, of which the rest has not come."""
        before = self._unfinished.get(connection, 0)
        if held >= NOTEWORTHY_BYTES:
            self._unfinished[connection] = held
            self._unfinished_bytes += held - before
        elif before:
            del self._unfinished[connection]
            self._unfinished_bytes -= before
        while self._unfinished_bytes > MOST_UNFINISHED_BYTES:
            oldest = next(iter(self._unfinished))
            self.lacks(oldest, 0)
            oldest.cut()

    def forget(self, connection: Connection) -> None:
        """A connection is gone."""
        self.lacks(connection, 0)
        self._line.pop(connection, None)
        self.take(connection)

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        self._weight = 0
        connection = next(iter(self._line), None)
        if connection is not None:
            del self._line[connection]
            connection.read_on()
            # Those who do not stand in line shall not find everything used up by those who do.
            self._weight = 0
        if self._line:
            self._schedule()
