"""An address that stays while what stands behind it changes, as a proxy or a name has it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Forwarder:
    """Passes bytes on to ``target``, a port of the loopback; what is open stays where it is."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self._passing: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Forwarder]:
        """Listen on a free port."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in tuple(self._passing):
                task.cancel()
            await asyncio.gather(*self._passing, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        ways = (_pass_on(reader, back), _pass_on(there, writer))
        self._passing |= {asyncio.create_task(way) for way in ways}


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while received := await reader.read(65_536):
            writer.write(received)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()
