"""Heads of requests are bounded; what a body or a well-behaved client sends is not touched."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from server.http.heads import MAX_HEAD_BYTES, BoundedHeads, heads_of
from tests.streaming.stage import QuietServer, until

REFUSED = b"HTTP/1.1 431 "
PIECE = 4_096


async def _length(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"{len(await request.body())} bytes")


class Impatient(BoundedHeads):
    """Waits for no head longer than a moment."""

    head_timeout_s = 0.2


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with listening(BoundedHeads) as port:
        yield port


@asynccontextmanager
async def listening(protocol: type[BoundedHeads]) -> AsyncIterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    app = Starlette(routes=[Route("/", _length, methods=["GET", "POST"])])
    config = uvicorn.Config(app, http=protocol, lifespan="off", log_config=None)
    server = QuietServer(config)
    serving = asyncio.create_task(server.serve([listener]))
    await until(lambda: server.started)
    yield int(listener.getsockname()[1])
    server.should_exit = True
    await serving
    listener.close()


async def sent(port: int, *pieces: bytes) -> bytes:
    """What is answered to these pieces, until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionError:
        return b"cut"
    finally:
        writer.close()


def cut(whole: bytes) -> list[bytes]:
    return [whole[start : start + PIECE] for start in range(0, len(whole), PIECE)]


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 1_000_000,
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-Many: a\r\n" * 100_000,
        b"GET /" + b"a" * 1_000_000,
    ],
    ids=["one header", "many headers", "the address"],
)
async def test_a_head_that_does_not_end_is_refused(port: int, head: bytes) -> None:
    answer = await sent(port, *cut(head))
    assert answer.startswith(REFUSED) or answer == b"cut"


@pytest.mark.parametrize(
    ("begun", "answered"),
    [(b"", 0), (b"GET / HT", 0), (b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n", 1)],
    ids=["nothing", "a first head", "a further head"],
)
async def test_a_head_is_not_waited_for_for_ever(begun: bytes, answered: int) -> None:
    async with listening(Impatient) as port:
        assert (await sent(port, begun)).count(b"0 bytes") == answered


async def test_a_body_may_take_longer_than_a_head() -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\n"
    async with listening(Impatient) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + b"ab")
        assert await sent(port, b"") == b""  # its time is up
        writer.write(b"c")
        assert (await reader.read()).endswith(b"3 bytes")
        writer.close()


async def test_a_long_head_is_read(port: int) -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Long: "
    head += b"a" * (MAX_HEAD_BYTES - 1_000) + b"\r\n\r\n"
    assert (await sent(port, *cut(head))).endswith(b"0 bytes")


async def test_bodies_are_not_counted(port: int) -> None:
    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + b"a" * 1_000_000
    last = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\nb"
    answer = await sent(port, *cut(request * 3 + last))
    assert answer.count(b"1000000 bytes") == 3
    assert answer.endswith(b"1 bytes")


async def test_each_request_of_a_connection_is_counted_by_itself(port: int) -> None:
    request = b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 40_000 + b"\r\n\r\n"
    last = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert (await sent(port, *cut(request * 10 + last))).count(b"0 bytes") == 11


async def test_more_sockets_than_there_are_descriptors_for_are_closed_at_once() -> None:
    async with listening(heads_of(2)) as port:
        kept = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        assert await sent(port, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n") in (b"", b"cut")
        for _, writer in kept:
            writer.close()
            await writer.wait_closed()
        async with asyncio.timeout(10):
            while not await sent(port, b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"):
                pass
