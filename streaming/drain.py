"""Leaving without making anybody stale.

On SIGTERM: not ready any more, and new connections are sent elsewhere; every client is asked, by a
``goodbye`` with a time of its own within the window, to open a connection somewhere else; the old
connection goes on being served until its client has left it. Only those who do not know how to
leave are closed, 1001, in paced batches. Then the server may end.

Between processes that share a port, the one that leaves stops listening at once; alone, it refuses
newcomers, so that they look elsewhere.

uvicorn closes its listeners first and its connections at once when it is told to exit, which is
why it is told only after all of this.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Iterator
from types import FrameType
from typing import Any

import structlog
import uvicorn
from halyard_protocol.session.server import goodbye

from streaming.connection import Connection
from streaming.gateway import Gateway

log = structlog.get_logger("halyard.stream")

WINDOW_S = 10.0
GRACE_S = 5.0
"""For clients to have moved, after the last of them was to begin."""
BACKLOG_S = 0.5
"""How long a leaving process goes on taking connections that the kernel has accepted for it."""
BATCH = 200
BATCH_PAUSE_S = 0.05
_POLL_S = 0.05


async def drain(
    gateway: Gateway,
    window_s: float = WINDOW_S,
    grace_s: float = GRACE_S,
) -> None:
    """Ask every client to leave, spread over ``window_s``; close those who stay.

    Whoever is still here after the window is waited for as long as others leave, ``grace_s`` from
    the last: on a busy machine moving takes its time. Returns when there are no connections left,
    at the latest after twice the window, the grace, and a few seconds.
    Cancelled, it leaves the gateway draining, and the rest to be closed by the server's end.
    """
    gateway.draining = True
    gateway.gone_by_s = gateway.now_s() + window_s + grace_s
    for begin in gateway.drains:
        begin(window_s)
    log.info("draining", connections=len(gateway.connections), window_s=window_s)
    try:
        async with asyncio.timeout(2 * window_s + grace_s):
            await _until_empty_or_still(gateway, window_s, grace_s)
    except TimeoutError:
        pass  # they went on leaving, but not quickly enough
    if gateway.connections:
        log.info("closing those who stayed", connections=len(gateway.connections))
    while gateway.connections and (rest := tuple(gateway.connections)[:BATCH]):
        for connection in rest:
            connection.shutdown()
        await asyncio.sleep(BATCH_PAUSE_S)


async def _until_empty_or_still(gateway: Gateway, window_s: float, grace_s: float) -> None:
    farewells, left_s = Farewells(gateway, window_s), gateway.now_s() + window_s
    while before := len(gateway.connections):
        for _ in farewells.said():
            await asyncio.sleep(0)
        if gateway.now_s() >= left_s + grace_s:
            return
        await asyncio.sleep(_POLL_S)
        if len(gateway.connections) < before:
            left_s = max(left_s, gateway.now_s())


class Farewells:
    """Who is still to be told when to leave, each at a time of its own.

    A client whose key is being looked for, or that has not read what it was sent, is told once it
    can be: its time has not changed, so that what is left of it is less by then.
    """

    def __init__(self, gateway: Gateway, window_s: float) -> None:
        self._gateway = gateway
        self._began_s = gateway.now_s()
        connections = tuple(gateway.connections)
        self._untold = {
            connection: window_s * place / len(connections)
            for place, connection in enumerate(connections)
        }

    def said(self) -> Iterator[int]:
        """Tell all who can be told; yields after each batch how many of it were."""
        waiting = list(self._untold)
        for start in range(0, len(waiting), BATCH):
            yield sum(self._tell(connection) for connection in waiting[start : start + BATCH])

    def _tell(self, connection: Connection) -> bool:
        if not connection.is_open:
            del self._untold[connection]
            return False
        environment = connection.environment
        if environment is None or not connection.session.writable:
            return False
        elapsed_s = self._gateway.now_s() - self._began_s
        after_ms = round(1000 * max(0.0, self._untold.pop(connection) - elapsed_s))
        connection.send(goodbye(environment.feed, "the server is going away", after_ms))
        self._gateway.counters.goodbyes += 1
        return True


class DrainingServer(uvicorn.Server):
    """A uvicorn server that drains its gateway before it exits.

    The first SIGTERM or SIGINT begins the drain; the second ends the server at once.

    ``shares_port``: others listen on the same port. Then it stops listening when the drain begins:
    the kernel deals connections out to all listeners alike, and would go on handing it its part.
    Alone on its port it goes on, for a load balancer to see in ``/readyz`` that it leaves.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        gateway: Gateway,
        window_s: float = WINDOW_S,
        grace_s: float = GRACE_S,
        *,
        shares_port: bool = False,
    ) -> None:
        super().__init__(config)
        self._shares_port = shares_port
        self._gateway = gateway
        self._window_s = window_s
        self._grace_s = grace_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._drain: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[Any] | None = None) -> None:
        """Remember the loop, for signals arrive outside of it."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain, or, the second time, exit."""
        if self._drain is None and self._loop is not None and not self._gateway.draining:
            self._loop.call_soon_threadsafe(self._begin)
        else:
            super().handle_exit(sig, frame)
            # uvicorn would raise them again in the end, which would cut short whatever stops then.
            self._captured_signals.clear()

    def _begin(self) -> None:
        if self._drain is None:
            self._drain = asyncio.create_task(self._drain_then_exit())

    async def _drain_then_exit(self) -> None:
        try:
            if self._shares_port:
                await self._stop_listening()
            await drain(self._gateway, self._window_s, self._grace_s)
        finally:
            self.should_exit = True

    async def _stop_listening(self) -> None:
        """Take what the kernel has accepted, and no more: whoever comes now finds the others."""
        self._gateway.others_listen = True
        listeners = [socket.fileno() for server in self.servers for socket in server.sockets]
        until_s = self._gateway.now_s() + BACKLOG_S
        # Some are taken in each turn of the loop; a listener can be read while there are more.
        while listeners and self._gateway.now_s() < until_s and _readable(listeners[0]):  # noqa: ASYNC110
            await asyncio.sleep(0)
        for server in self.servers:
            server.close()


def _readable(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
