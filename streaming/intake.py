"""Whoever sends much is read in turn, one connection per turn of the loop.

The loop would read a socket on while it is full, eight megabytes before any other's turn: thirty
clients that send as fast as they can would make everybody wait for a second. So a connection of
which a large piece was read is not read from again before those in front of it in the line.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streaming.connection import Connection

LARGE_BYTES = 16 * 1024
"""What is less is read at once: what SDKs say is shorter, but for what they have counted."""


class Intake:
    """The line of those who are read on in turn."""

    def __init__(self) -> None:
        self._line: dict[Connection, None] = {}
        self._scheduled = False

    def __contains__(self, connection: Connection) -> bool:
        return connection in self._line

    def enter(self, connection: Connection) -> None:
        """Read on from a connection, which is not read from now, when its turn comes."""
        self._line[connection] = None
        self._schedule()

    def forget(self, connection: Connection) -> None:
        """A connection is gone."""
        self._line.pop(connection, None)

    def _schedule(self) -> None:
        if self._line and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        connection = next(iter(self._line), None)
        if connection is not None:
            del self._line[connection]
            connection.read_on()
        self._schedule()
