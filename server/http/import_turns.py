"""Whose turn it is to have a document taken in.

An import holds its document, a copy of the project and a thread, and takes seconds where it is
large. So only a few are made at a time in one process; the next ones wait a little, and no longer,
because each that waits holds its document.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from server.http.faults import TooManyImports

AT_ONCE = 2
WAITING_S = 5.0


class ImportTurns:
    """Those of one process."""

    def __init__(self, at_once: int = AT_ONCE, waiting_s: float = WAITING_S) -> None:
        self._turns = asyncio.Semaphore(at_once)
        self._waiting_s = waiting_s

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for a turn, which lasts as long as the block. Raises :class:`TooManyImports`."""
        try:
            async with asyncio.timeout(self._waiting_s):
                await self._turns.acquire()
        except TimeoutError as error:
            raise TooManyImports from error
        try:
            yield
        finally:
            self._turns.release()
