"""A bad network for the soak: a proxy that delays, cuts, dribbles and goes deaf; peers that vanish.

Each connection through the proxy has a fate of its own, drawn from a seeded source, so that a run
can be repeated. Most fates are kind: a network that fails for everybody all the time tests nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from typing import Literal, TypeAlias, get_args

from halyard_protocol.messages import Hello, encode_message

Fate: TypeAlias = Literal["kind", "late", "cut", "dribbled", "deaf"]
"""Passed on as it comes; each piece late by up to a second; reset at some moment; a few bytes at a
time; open for ever while nothing passes any more, as when a router forgets a connection."""

_WEIGHTS = (60, 12, 12, 8, 8)
_LONGEST_LIFE_S = 40.0
_DEAF_FOR_S = 90.0
_PIECE = 64 * 1024

_REQUEST = (
    "GET /stream/v1 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Authorization: Bearer {key}\r\n\r\n"
)


class FaultProxy:
    """Listens on a port of loopback and passes connections on to another, as their fates allow.

    Attributes:
        port: where it listens, once entered.
        fates: how many connections had which.
    """

    def __init__(self, target: int, chance: random.Random) -> None:
        self.port = 0
        self.fates: Counter[Fate] = Counter()
        self._target = target
        self._chance = chance
        self._server: asyncio.Server
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> FaultProxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1_024)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        fate = self._chance.choices(get_args(Fate), _WEIGHTS)[0]
        self.fates[fate] += 1
        try:
            with contextlib.suppress(OSError):
                await self._connect(fate, reader, writer)
        except asyncio.CancelledError:
            pass  # the proxy ends; asyncio's streams report a cancelled handler as a fault
        finally:
            writer.transport.abort()

    async def _connect(
        self, fate: Fate, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        to_server = await asyncio.open_connection("127.0.0.1", self._target)
        life_s = self._chance.uniform(1, _LONGEST_LIFE_S)
        passing = [
            asyncio.create_task(self._pass(fate, reader, to_server[1])),
            asyncio.create_task(self._pass(fate, to_server[0], writer)),
        ]
        try:
            ends = fate in ("cut", "deaf")
            await asyncio.wait(
                passing,
                timeout=life_s if ends else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if fate == "deaf" and not any(task.done() for task in passing):
                for task in passing:
                    task.cancel()
                await asyncio.sleep(_DEAF_FOR_S)
        finally:
            for task in passing:
                task.cancel()
            await asyncio.gather(*passing, return_exceptions=True)
            to_server[1].transport.abort()

    async def _pass(
        self, fate: Fate, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(48 if fate == "dribbled" else _PIECE):
            if fate == "late":
                await asyncio.sleep(self._chance.uniform(0, 1))
            elif fate == "dribbled":
                await asyncio.sleep(0.001)
            writer.write(data)
            await writer.drain()


class Vanished:
    """Peers that say hello to a gateway and then answer nothing, not even a ping."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._request = _REQUEST.format(key=key).encode()
        self._transports: list[asyncio.Transport] = []
        self.added = 0
        self.cut = 0
        """How many of them the gateway has got rid of."""

    @property
    def left(self) -> int:
        """How many it has not got rid of yet."""
        return self.added - self.cut

    async def add(self, count: int) -> None:
        """So many more; those whom the gateway does not let in are as good."""
        loop = asyncio.get_running_loop()
        for _ in range(count):
            with contextlib.suppress(OSError):
                transport, _ = await loop.create_connection(
                    lambda: _Vanishing(self), "127.0.0.1", self._port
                )
                transport.write(self._request)
                transport.write(_masked(encode_message(Hello(protocol=1))))
                self._transports.append(transport)
                self.added += 1

    def close(self) -> None:
        """Let go of those that are left."""
        for transport in self._transports:
            transport.abort()


class _Vanishing(asyncio.Protocol):
    def __init__(self, counted: Vanished) -> None:
        self._counted = counted

    def data_received(self, data: bytes) -> None:
        """Nothing is done with it: no ping is answered, and no close."""

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._counted.cut += 1


def _masked(payload: bytes) -> bytes:
    """A client's text frame of less than 126 bytes, under the mask of zeroes."""
    return bytes((0x81, 0x80 | len(payload), 0, 0, 0, 0)) + payload
