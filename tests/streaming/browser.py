"""A browser's side of the stream: a public key in the address, no headers, and values only."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import msgspec
from halyard_protocol.messages import (
    Heartbeat,
    Hello,
    Identify,
    Resume,
    ServerMessage,
    UnknownMessage,
    Values,
    Welcome,
    decode_server_message,
    encode_message,
)
from halyard_protocol.session.outcomes import digest_of, read_values
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.streaming.stage import Stage
from tests.streaming.writing import ENV, Ruleset

M = TypeVar("M")
CLIENT_KEY = f"{ENV}-c-public-one"
CLIENT_DOCUMENT = f"key:{CLIENT_KEY}"


class Browser:
    """Believes what it is told, and keeps it."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.epoch = ""
        self.seq = 0
        self.values: dict[str, bytes] = {}
        self.heard: list[ServerMessage | UnknownMessage] = []

    async def hello(
        self, context: Any = "alice", digest: str | None = None, resume: Resume | None = None
    ) -> Welcome:
        """Say hello; answers the welcome."""
        message = Hello(protocol=1, context=context, digest=digest, resume=resume)
        await self.connection.send(encode_message(message).decode())
        return await self.next_of(Welcome)

    async def start(self, context: Any = "alice") -> Values:
        """Say hello, and hear the values."""
        assert (await self.hello(context)).intent == "values"
        return await self.next_of(Values)

    async def identify(self, context: Any) -> None:
        await self.connection.send(encode_message(Identify(context)).decode())

    async def next(self, within_s: float = 10) -> ServerMessage | UnknownMessage:
        """The next message, applied."""
        async with asyncio.timeout(within_s):
            message = decode_server_message(await self.connection.recv(decode=False))
        self.heard.append(message)
        match message:
            case Values():
                values = read_values(message.values)
                self.values = values if message.full else {**self.values, **values}
                for key in message.removed:
                    del self.values[key]
                self.epoch, self.seq = message.epoch, message.seq
            case Heartbeat():
                self.epoch, self.seq = message.epoch, message.seq
            case _:
                pass
        return message

    async def next_of(self, kind: type[M]) -> M:
        """The next message of a type."""
        while True:
            message = await self.next()
            if isinstance(message, kind):
                return message

    def of(self, key: str) -> Any:
        """The value of a flag."""
        return msgspec.json.decode(self.values[key])["value"]

    def variations(self) -> dict[str, str | None]:
        """Flag key -> variation."""
        return {key: msgspec.json.decode(value)["variation"] for key, value in self.values.items()}

    @property
    def digest(self) -> str:
        return digest_of(self.values)

    async def closed(self) -> tuple[int | None, str]:
        """Listen until the server closes; how it did."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self.next()
        return self.connection.close_code, self.connection.close_reason or ""


@contextlib.asynccontextmanager
async def browser(on: Stage, key: str = CLIENT_KEY, **options: Any) -> AsyncIterator[Browser]:
    """A connection as browsers make it: compression offered, the key in the address."""
    options.setdefault("compression", "deflate")
    async with connect(f"{on.url}?key={key}", **options) as connection:
        yield Browser(connection)


def plain(key: str, on: str = "on", **fields: Any) -> tuple[str, dict[str, Any]]:
    """A change: a flag for pages that serves one variation to everybody."""
    return f"flag:{key}", {
        "type": "string",
        "enabled": True,
        "variations": [{"key": "on", "value": "yes"}, {"key": "off", "value": "no"}],
        "fallthrough": {"variation": on},
        "clientSide": True,
        "salt": "s",
        **fields,
    }


async def with_client_key(ruleset: Ruleset, **fields: Any) -> Ruleset:
    """The ruleset with a client key beside the others."""
    key = {"id": "c1", "kind": "client", "name": "page", **fields}
    await ruleset.change((CLIENT_DOCUMENT, key))
    return ruleset
