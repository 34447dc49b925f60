"""Readers that take nothing, over real connections: told why they are cut off, and then gone."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn

from server.http.app import create_app
from server.http.dependencies import Dependencies
from server.http.event_feed import TOO_SLOW
from server.http.heads import BoundedHeads
from tests.streaming.stage import QuietServer, until
from tests.support.api import PROJECT, TOKEN

BUFFER_BYTES = 4_096
"""Of the network, on either side: so that little has to be told until a reader is in the way."""
REQUEST = (
    f"GET {PROJECT}/events/stream?after=0 HTTP/1.1\r\nHost: x\r\n"
    f"Authorization: Bearer {TOKEN}\r\n\r\n"
).encode()


class Brief(BoundedHeads):
    """Lets go of peers without ado."""

    linger_s = 0.05


@asynccontextmanager
async def stalling(
    dependencies: Dependencies, protocol: type[BoundedHeads]
) -> AsyncIterator[tuple[QuietServer, socket.socket]]:
    """A server, and a connection whose stream stands still because nothing is read."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
    config = uvicorn.Config(
        create_app(dependencies), http=protocol, lifespan="off", log_config=None
    )
    server = QuietServer(config)
    serving = asyncio.create_task(server.serve([listener]))
    await until(lambda: server.started)
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        peer.setblocking(False)
        await asyncio.get_running_loop().sock_connect(peer, listener.getsockname())
        await asyncio.get_running_loop().sock_sendall(peer, REQUEST)
        await until(lambda: len(dependencies.event_feeds) == 1)
        await until(lambda: len(dependencies.event_feeds) == 0)
        yield server, peer
    server.should_exit = True
    await serving
    listener.close()


async def rest(peer: socket.socket) -> bytes:
    """All that still comes."""
    parts = []
    async with asyncio.timeout(10):
        while True:
            try:
                part = await asyncio.get_running_loop().sock_recv(peer, 65_536)
            except ConnectionError:
                break
            if not part:
                break
            parts.append(part)
    return b"".join(parts)


@pytest.fixture
async def much(demo: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """More to tell than buffers hold."""
    monkeypatch.setattr("server.http.event_streaming.STALL_S", 0.05)
    monkeypatch.setattr("server.http.event_streaming.PAGE", 20)
    renames = [
        {"type": "RenameFlag", "flag": "checkout", "name": f"Name {n}", "comment": "x" * 2_000}
        for n in range(100)
    ]
    response = await demo.post(f"{PROJECT}/commands:batch", json={"commands": renames})
    assert response.status_code == 200, response.text


@pytest.mark.usefixtures("much")
async def test_who_reads_on_in_time_finds_why_it_was_cut_off(dependencies: Dependencies) -> None:
    async with stalling(dependencies, BoundedHeads) as (_, peer):
        told = await rest(peer)
        assert told.count(b'data: {"seq"') > 20
        assert told.endswith(b"%x\r\n%s\r\n0\r\n\r\n" % (len(TOO_SLOW), TOO_SLOW))
        assert told.count(b"event: end") == 1


@pytest.mark.usefixtures("much")
async def test_who_reads_nothing_does_not_keep_the_connection(dependencies: Dependencies) -> None:
    async with stalling(dependencies, Brief) as (server, peer):
        await until(lambda: not server.server_state.connections)
        assert TOO_SLOW not in await rest(peer)
