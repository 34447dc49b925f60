"""A real uvicorn server with a real gateway behind it, and clients that speak the stream."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeVar

import msgspec
import uvicorn
from halyard_protocol.messages import (
    Changes,
    Heartbeat,
    Hello,
    Resume,
    ServerMessage,
    Snapshot,
    UnknownMessage,
    Welcome,
    decode_server_message,
    encode_message,
)
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from projections.script import RedisClient
from streaming.gateway import Gateway
from streaming.settings import StreamSettings
from tests.streaming.writing import SERVER_KEY

M = TypeVar("M")

CLOSED_WITHIN_S = 20.0

QUICK = StreamSettings(
    heartbeat_s=0.2, watch_s=0.05, silence_s=0.2, probe_s=0.5, linger_s=60, hello_timeout_s=5
)


async def yes(_environment: str) -> bool:
    return True


async def no(_environment: str) -> bool:
    return False


async def until(condition: Callable[[], bool], within_s: float = 10) -> None:
    """Wait until something is so that no message tells of."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)


class QuietServer(uvicorn.Server):
    """Leaves the test process's signal handlers alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Stage:
    """A running gateway and its address."""

    def __init__(self, gateway: Gateway, server: uvicorn.Server, port: int) -> None:
        self.gateway = gateway
        self.server = server
        self.port = port
        self.url = f"ws://127.0.0.1:{port}/stream/v1"

    def dial(self, key: str | None = SERVER_KEY, **options: Any) -> connect:
        """A client, before its hello."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        options.setdefault("compression", None)
        return connect(self.url, additional_headers=headers, **options)

    @contextlib.asynccontextmanager
    async def client(self, key: str = SERVER_KEY, **options: Any) -> AsyncIterator[Client]:
        """A client that keeps what it was told."""
        async with self.dial(key, **options) as connection:
            yield Client(connection)


class Client:
    """The simplest client there can be: it believes everything, and applies it."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.epoch = ""
        self.seq = 0
        self.flags: dict[str, int] = {}
        self.heard: list[ServerMessage | UnknownMessage] = []

    async def hello(self, resume: Resume | None = None) -> Welcome:
        """Say hello; answers the welcome."""
        if resume is not None:
            self.epoch, self.seq = resume.epoch, resume.seq
        await self.connection.send(encode_message(Hello(protocol=1, resume=resume)).decode())
        while True:
            message = await self.next()
            if isinstance(message, Welcome):
                return message

    async def next(self, within_s: float = 10) -> ServerMessage | UnknownMessage:
        """The next message, applied."""
        async with asyncio.timeout(within_s):
            message = decode_server_message(await self.connection.recv(decode=False))
        self.heard.append(message)
        self._apply(message)
        return message

    async def reach(self, seq: int, within_s: float = 10) -> None:
        """Listen until a seq is reached."""
        async with asyncio.timeout(within_s):
            while self.seq < seq:
                await self.next(within_s)

    async def synchronise(self, resume: Resume | None = None) -> Welcome:
        """Say hello, and take in the snapshot where one is promised."""
        welcome = await self.hello(resume)
        if welcome.intent == "full":
            while not isinstance(await self.next(), Snapshot):
                pass
        return welcome

    async def next_of(self, kind: type[M]) -> M:
        """The next message of a type; those before it are applied too."""
        while True:
            message = await self.next()
            if isinstance(message, kind):
                return message

    async def closed(self) -> tuple[int | None, str]:
        """Listen until the server closes; how it did."""
        with contextlib.suppress(ConnectionClosed):
            async with asyncio.timeout(CLOSED_WITHIN_S):
                while True:
                    await self.next()
        return self.connection.close_code, self.connection.close_reason or ""

    def _apply(self, message: ServerMessage | UnknownMessage) -> None:
        match message:
            case Snapshot(epoch=epoch, seq=seq, flags=flags):
                self.epoch, self.seq, self.flags = epoch, seq, _versions(flags)
            case Changes(epoch=epoch, from_=from_, to=to, put=put, delete=delete):
                assert epoch == self.epoch
                assert from_ <= self.seq
                self.seq = max(self.seq, to)
                self.flags |= _versions(put.flags)
                for key in delete.flags:
                    self.flags.pop(key, None)
            case Heartbeat(epoch=epoch, changed=changed, seq=seq):
                assert epoch == self.epoch
                assert changed <= self.seq
                self.seq = max(self.seq, seq)
            case _:
                pass


def _versions(documents: tuple[msgspec.Raw, ...]) -> dict[str, int]:
    read = [msgspec.json.decode(document) for document in documents]
    return {document["key"]: document["version"] for document in read}


def upgrade_request() -> bytes:
    """For clients that are nothing but a socket."""
    return (
        b"GET /stream/v1 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Authorization: Bearer %s\r\n\r\n" % SERVER_KEY.encode()
    )


@contextlib.asynccontextmanager
async def stage(
    client: RedisClient,
    settings: StreamSettings = QUICK,
    is_current: Callable[[str], Awaitable[bool]] = yes,
) -> AsyncIterator[Stage]:
    """A gateway that serves on a free port of the loopback."""
    gateway = Gateway(client, is_current=is_current, settings=settings)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        Starlette(),
        ws=gateway.protocol,  # type: ignore[arg-type]
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=2,
    )
    server = QuietServer(config)
    running = asyncio.create_task(gateway.run())
    serving = asyncio.create_task(server.serve([listener]))
    try:
        await until(lambda: server.started)
        yield Stage(gateway, server, listener.getsockname()[1])
    finally:
        server.should_exit = True
        await serving
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        listener.close()
