"""A stream server under a test's control: it says what the test tells it to, and no more.

A foreign peer on a real socket, to see how an SDK takes silence, garbage, repetition and loss. It
knows no rulesets and no rules of the protocol.
"""

from __future__ import annotations

import asyncio
import http
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

KEY = "abcdefghijkl-s-secret"
TIMEOUT_S = 10.0


def flag(key: str = "beta", on: Any = True, version: int = 1, **more: Any) -> dict[str, Any]:
    """A flag that is ``on`` for everybody."""
    kind = {bool: "boolean", str: "string", int: "integer", float: "number"}.get(type(on), "json")
    return {
        "key": key,
        "version": version,
        "type": kind,
        "enabled": True,
        "variations": [{"key": "on", "value": on}],
        "fallthrough": {"variation": "on"},
        **more,
    }


class Talk:
    """One connection, from the server's side."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.over = asyncio.Event()

    @property
    def authorization(self) -> str:
        assert self.socket.request is not None
        return self.socket.request.headers["Authorization"]

    async def hears(self) -> dict[str, Any]:
        """The client's next message."""
        async with asyncio.timeout(TIMEOUT_S):
            message: dict[str, Any] = json.loads(await self.socket.recv())
        return message

    async def hears_close(self) -> int | None:
        """The code with which the client closes; None where it just goes."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                while True:
                    await self.socket.recv()
        except ConnectionClosed as closed:
            return None if closed.rcvd is None else closed.rcvd.code

    async def says(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def welcomes(self, intent: str, seq: int, epoch: str = "1.0", beat_s: float = 15) -> None:
        await self.says(
            "welcome",
            environment="development",
            epoch=epoch,
            seq=seq,
            intent=intent,
            heartbeatSeconds=beat_s,
        )

    async def snapshots(self, seq: int, *flags: dict[str, Any], epoch: str = "1.0") -> None:
        environment = {"key": "development", "attributes": {}}
        await self.says(
            "snapshot", epoch=epoch, seq=seq, environment=environment, flags=flags, segments=[]
        )

    async def changes(self, since: int, to: int, *flags: dict[str, Any], **more: Any) -> None:
        fields = {"epoch": "1.0", "put": {"flags": flags}, "delete": {}, **more}
        await self.says("changes", **{"from": since, "to": to}, **fields)

    async def synchronises(self, seq: int, *flags: dict[str, Any], beat_s: float = 15) -> None:
        """Answer a hello with all there is."""
        await self.hears()
        await self.welcomes("full", seq, beat_s=beat_s)
        await self.snapshots(seq, *flags)

    async def closes(self, code: int, reason: str = "") -> None:
        await self.socket.close(code, reason)

    def breaks(self) -> None:
        """Lose the connection without a word."""
        self.socket.transport.abort()


class StreamPeer:
    """Listens on a port of loopback; each connection becomes a :class:`Talk`."""

    def __init__(self) -> None:
        self.talks: asyncio.Queue[Talk] = asyncio.Queue()
        self.refuse: Callable[[], Response | None] = lambda: None
        self.refused = asyncio.Event()
        self._server: Server

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def talk(self) -> Talk:
        """The next connection."""
        async with asyncio.timeout(TIMEOUT_S):
            return await self.talks.get()

    async def start(self, port: int = 0) -> None:
        self._server = await serve(
            self._handle,
            "127.0.0.1",
            port,
            process_request=self._process,
            subprotocols=[Subprotocol("halyard.v1")],
            compression=None,
            ping_interval=None,
            close_timeout=1,
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _handle(self, socket: ServerConnection) -> None:
        self.talks.put_nowait(Talk(socket))
        await socket.wait_closed()

    def _process(self, _socket: ServerConnection, request: Request) -> Response | None:
        assert request.path == "/stream/v1"
        response = self.refuse()
        if response is not None:
            self.refused.set()
        return response


@asynccontextmanager
async def stream_peer() -> AsyncIterator[StreamPeer]:
    peer = StreamPeer()
    await peer.start()
    try:
        yield peer
    finally:
        await peer.stop()


def unavailable(retry_after: str) -> Response:
    """HTTP 503, with the time after which to come back."""
    status = http.HTTPStatus.SERVICE_UNAVAILABLE
    headers = Headers({"Retry-After": retry_after, "Content-Length": "0"})
    return Response(status.value, status.phrase, headers, b"")
