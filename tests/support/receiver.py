"""A receiver of webhooks on a real port, which answers as it is told, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
RESET = b"HTTP/1.1 200"
"""The beginning of an answer; then the connection is cut."""
SILENCE = b""
"""No answer at all, for as long as the other side waits."""


def status(code: int, *headers: str, body: str = "") -> bytes:
    lines = [f"HTTP/1.1 {code} Word", f"content-length: {len(body)}", *headers, "", body]
    return "\r\n".join(lines).encode()


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def delivery(self) -> str:
        return self.headers["halyard-delivery"]

    @property
    def seqs(self) -> list[int]:
        return [event["seq"] for event in self.json["events"]]

    def is_signed_with(self, secret: str) -> bool:
        """As the reference tells receivers to do it."""
        at, *signatures = self.headers["halyard-signature"].split(",")
        signed = f"{at.removeprefix('t=')}.".encode() + self.body
        expected = "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
        return any(hmac.compare_digest(each, expected) for each in signatures)


class Receiver:
    """``answers`` are given one after the other, then 200."""

    def __init__(self, *answers: bytes, port: int = 0) -> None:
        self.answers = deque(answers)
        self.received: list[Received] = []
        self.at_once = 0
        self.most_at_once = 0
        self.pause_s = 0.0
        self.port = port
        self._news = asyncio.Condition()
        self._serving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?token=tell-nobody"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def until(self, count: int, timeout_s: float = 30.0) -> list[Received]:
        """Wait until so many requests have come."""
        async with asyncio.timeout(timeout_s), self._news:
            await self._news.wait_for(lambda: len(self.received) >= count)
        return self.received

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            with contextlib.suppress(
                asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError
            ):
                await self._answer(reader, writer)
        finally:
            self._serving.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:-2])
        }
        body = await reader.readexactly(int(headers["content-length"]))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        async with self._news:
            self.received.append(Received(head[0].split()[1], headers, body))
            self._news.notify_all()
        await asyncio.sleep(self.pause_s)
        self.at_once -= 1
        answer = self.answers.popleft() if self.answers else OK
        if answer == SILENCE:
            await asyncio.Event().wait()
        writer.write(answer)
        await writer.drain()
        if answer == RESET:
            transport: Any = writer.transport
            transport.abort()
