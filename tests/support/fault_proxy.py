"""A proxy between the program and a server of its, which loses what it is told to lose.

A network breaks in more ways than a process does: bytes stop without a word, in one direction or
on one of several connections, and both ends go on believing in each other. Bytes of a connection
that went missing once are never made good: nothing that comes after them arrives either.
"""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self

PIECE_BYTES = 65_536


class FaultProxy:
    """Passes bytes on between a port of its own and another one of the loopback.

    Attributes:
        frozen: nothing passes in either direction, and nobody is told.
        deaf: nothing comes back on connections that were subscribed on.
        left_bytes: of answers, until each connection is cut in the middle of one; None for all.
    """

    def __init__(self, upstream_port: int) -> None:
        self.port = 0
        self.frozen = False
        self.deaf = False
        self.left_bytes: int | None = None
        self.cuts = 0
        self._upstream_port = upstream_port
        self._subscribed: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._server.wait_closed()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            await self._pass_on(reader, writer)
        except asyncio.CancelledError:
            pass  # the proxy ends; a stream's task that says so is taken for a failure
        finally:
            self._serving.discard(task)
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            theirs, ours = await asyncio.open_connection("127.0.0.1", self._upstream_port)
            try:
                ways = (self._there(reader, ours, writer), self._back(theirs, writer))
                tasks = [asyncio.create_task(way) for way in ways]
                try:
                    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)
            finally:
                self._subscribed.discard(writer)
                ours.transport.abort()

    async def _there(
        self, reader: asyncio.StreamReader, ours: asyncio.StreamWriter, writer: asyncio.StreamWriter
    ) -> None:
        broken = False
        while data := await reader.read(PIECE_BYTES):
            if b"SSUBSCRIBE" in data:
                self._subscribed.add(writer)
            broken = broken or self.frozen
            if not broken:
                ours.write(data)
                await ours.drain()
        await self._keep_from_telling(broken)

    async def _back(self, theirs: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        broken = False
        while data := await theirs.read(PIECE_BYTES):
            broken = broken or self.frozen or (self.deaf and writer in self._subscribed)
            if broken:
                continue
            if self.left_bytes is not None and len(data) > self.left_bytes:
                self.cuts += 1
                writer.write(data[: self.left_bytes])
                await writer.drain()
                return
            writer.write(data)
            await writer.drain()
        await self._keep_from_telling(broken)

    async def _keep_from_telling(self, broken: bool) -> None:
        """One side has closed: of that the other hears no more than of anything else."""
        if broken or self.frozen:
            await asyncio.Event().wait()
