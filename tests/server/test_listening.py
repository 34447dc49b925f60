"""How many are let in while the event loop is busy."""

from __future__ import annotations

import asyncio
import socket

import pytest
import uvloop

from server.listening import ACCEPTORS, acceptors

WAITING = 8 * ACCEPTORS


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_turn_of_the_loop_lets_in_many(family: socket.AddressFamily) -> None:
    address = "127.0.0.1" if family is socket.AF_INET else "::1"
    listener = socket.create_server((address, 0), family=family, backlog=WAITING)
    clients = [socket.create_connection(listener.getsockname()[:2]) for _ in range(WAITING)]

    async def turns() -> int:
        loop, let_in = asyncio.get_running_loop(), asyncio.Event()
        accepted: list[asyncio.BaseTransport] = []

        class Door(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                accepted.append(transport)
                if len(accepted) == WAITING:
                    let_in.set()

        servers = [await loop.create_server(Door, sock=each) for each in acceptors(listener)]
        count = 0
        while not let_in.is_set():
            await asyncio.sleep(0)
            count += 1
        for server in servers:
            server.close()
        for transport in accepted:
            transport.close()
        return count

    assert uvloop.run(turns()) < WAITING / 2
    with pytest.raises(OSError, match="refused"):  # no descriptor of it is left
        socket.create_connection((address, port_of(clients[0]))).close()
    for client in clients:
        client.close()


def port_of(client: socket.socket) -> int:
    """Where it is connected to."""
    return int(client.getpeername()[1])
