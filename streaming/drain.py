"""Leaving without making anybody stale.

On SIGTERM: not ready any more, and new connections are sent elsewhere; every client is asked, by a
``goodbye`` with a time of its own within the window, to open a connection somewhere else; the old
connection goes on being served until its client has left it. Only those who do not know how to
leave are closed, 1001, in paced batches. Then the server may end.

uvicorn closes its listeners first and its connections at once when it is told to exit, which is
why it is told only after all of this.
"""

from __future__ import annotations

import asyncio
from types import FrameType
from typing import Any

import structlog
import uvicorn
from halyard_protocol.session.server import goodbye

from streaming.gateway import Gateway

log = structlog.get_logger("halyard.stream")

WINDOW_S = 10.0
GRACE_S = 5.0
"""For clients to have moved, after the last of them was to begin."""
BATCH = 200
BATCH_PAUSE_S = 0.05
_POLL_S = 0.05


async def drain(gateway: Gateway, window_s: float = WINDOW_S, grace_s: float = GRACE_S) -> None:
    """Ask every client to leave, spread over ``window_s``; close those who stay.

    Returns when there are no connections left, at the latest a few seconds after both times.
    Cancelled, it leaves the gateway draining, and the rest to be closed by the server's end.
    """
    gateway.draining = True
    for begin in gateway.drains:
        begin(window_s)
    log.info("draining", connections=len(gateway.connections), window_s=window_s)
    _say_goodbye(gateway, window_s)
    await _empty(gateway, window_s + grace_s)
    while gateway.connections and (rest := tuple(gateway.connections)[:BATCH]):
        for connection in rest:
            connection.shutdown()
        await asyncio.sleep(BATCH_PAUSE_S)


def _say_goodbye(gateway: Gateway, window_s: float) -> None:
    connections = tuple(gateway.connections)
    for place, connection in enumerate(connections):
        if connection.environment is not None and connection.session.writable:
            after_ms = round(1000 * window_s * place / len(connections))
            frame = goodbye(connection.environment.feed, "the server is going away", after_ms)
            connection.send(frame)
            gateway.counters.goodbyes += 1


async def _empty(gateway: Gateway, within_s: float) -> None:
    try:
        async with asyncio.timeout(within_s):
            while gateway.connections:  # noqa: ASYNC110 - an event for each leaving would cost more
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        log.info("closing those who stayed", connections=len(gateway.connections))


class DrainingServer(uvicorn.Server):
    """A uvicorn server that drains its gateway before it exits.

    The first SIGTERM or SIGINT begins the drain; the second ends the server at once.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        gateway: Gateway,
        window_s: float = WINDOW_S,
        grace_s: float = GRACE_S,
    ) -> None:
        super().__init__(config)
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
            await drain(self._gateway, self._window_s, self._grace_s)
        finally:
            self.should_exit = True
