"""What a process composes: the protocol that uvicorn instantiates, the life cycle, the status.

gateway = Gateway(redis, is_current=...)
uvicorn.Config(app, ws=gateway.protocol, ...)
... await gateway.run()        # beside the server, until after it has ended
... await drain(gateway, ...)  # before it ends
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from halyard_protocol.close_codes import CloseCode
from halyard_protocol.session.values_server import ValuesSession

from projections.script import RedisClient
from streaming.admission import Admission
from streaming.connection import Connection
from streaming.counters import Counters
from streaming.hub import Hub
from streaming.intake import Intake
from streaming.keys import read_key
from streaming.limits import Limits
from streaming.live_keys import REFUSED
from streaming.serving import ServedEnvironment, Serving
from streaming.settings import StreamSettings
from streaming.turned_away import TurnedAway
from streaming.upstream.reception import Upstream
from streaming.upstream.settings import UpstreamSettings
from streaming.wheel import Wheel

LONGEST_LEAVING_WAIT_S = 4

_GOLDEN_RATIO = 0.618_033_988_75
"""Multiples of it, modulo one, are spread evenly however many there are."""


class GatewayStatus(msgspec.Struct, frozen=True, rename="camel"):
    """What ``/readyz`` says of the gateway."""

    ready: bool
    """Every environment in use has been synchronised since start, and nobody is sent away."""
    draining: bool
    connections: int
    waiting_for_snapshot: int
    environments: int
    unsynchronised: tuple[str, ...]
    """Ids of environments in use that have not been read yet."""
    stale: tuple[str, ...]
    """Ids of environments that are served from memory, without being in touch with Redis."""


class Gateway:
    """The gateway of one process.

    Args:
        redis: answers bytes; used for reading and, on connections of its own, for pub/sub.
        is_current: whether what Redis has of an environment, or that it has nothing, is as new as
            the log was when this was called. May ask a database: it is called only for keys that
            Redis does not know.
    """

    def __init__(
        self,
        redis: RedisClient,
        *,
        is_current: Callable[[str], Awaitable[bool]],
        settings: StreamSettings | None = None,
        upstream: UpstreamSettings | None = None,
    ) -> None:
        self.settings = settings or StreamSettings()
        self.counters = Counters()
        self.connections: set[Connection] = set()
        self.limits = Limits(self.settings)
        self.draining = False
        self.others_listen = False
        """While it drains: newcomers who try again find another process on this port."""
        self.gone_by_s = 0.0
        """While it drains: about when it will have gone, by :meth:`now_s`."""
        self.drains: list[Callable[[float], None]] = []
        """Called when this begins to drain, with the seconds that it may take."""
        self.admission = Admission(
            self.settings.snapshot_budget_bytes, self.counters, self.settings.share_kept_s
        )
        self.intake = Intake()
        self.wheel = Wheel()
        self.hub = Hub(redis, self.settings, self.counters, self.admission, is_current)
        self.upstream = Upstream(self.counters, upstream)
        self._serving = Serving(self.hub)

    def protocol(
        self,
        config: object,  # noqa: ARG002
        server_state: Any,
        app_state: object,  # noqa: ARG002
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> Connection | TurnedAway:
        """A protocol for one upgrade request; what uvicorn's ``ws`` setting is given."""
        if self.draining:
            wait_s = self._leaving_wait_s()
        elif (wait_s := self.limits.wait_s(self.now_s(), len(self.connections))) == 0:
            return Connection(self, server_state.connections)
        self.counters.refused += 1
        self.counters.turned_away += 1
        return TurnedAway(wait_s)

    async def run(self) -> None:
        """Serve until cancelled. A failure that is not Redis's ends it: let it end the process."""
        self.wheel.start()
        try:
            await self.hub.run()
        finally:
            self.wheel.stop()

    async def serve_key(
        self, presented: str, timeout_s: float, *, evaluating: bool = True
    ) -> ServedEnvironment:
        """The environment of a key that came with an HTTP request.

        At once where it is loaded and the key is live in it. ``evaluating``: have its documents
        read, so that its evaluator answers at once. Raises
        :class:`~streaming.caller.KeyRefused`, and :class:`~streaming.caller.NotAvailable` where
        the key cannot be judged within ``timeout_s``.
        """
        return await self._serving.serve(presented, timeout_s, evaluating=evaluating)

    async def listen_with(self, listening_key: str, timeout_s: float) -> ServedEnvironment:
        """The environment of a listening key, to be told of its changes; raises as above."""
        return await self._serving.listen(listening_key, timeout_s)

    def status(self) -> GatewayStatus:
        """The present state, for people and load balancers.

        What is only asked for over HTTP counts once it is loaded: anybody may make up ids.
        """
        environments = self.hub.environments.values()
        unsynchronised = tuple(
            each.id for each in environments if each.streamed and not each.feed.installed
        )
        return GatewayStatus(
            ready=not self.draining and not unsynchronised,
            draining=self.draining,
            connections=len(self.connections),
            waiting_for_snapshot=self.admission.waiting,
            environments=len(environments),
            unsynchronised=unsynchronised,
            stale=tuple(each.id for each in environments if each.feed.stale),
        )

    def _leaving_wait_s(self) -> int:
        """After how many seconds a newcomer may come back, when this process has gone or nearly.

        Not longer, for there may be others already, nor at once: ten thousand who have been asked
        to leave would ask again every moment.
        """
        if self.others_listen:
            return 0
        left_s = math.ceil(self.gone_by_s - self.now_s())
        return max(1, min(LONGEST_LEAVING_WAIT_S, left_s))

    # --- called by connections

    def now_s(self) -> float:
        """The clock of all deadlines."""
        return time.monotonic()

    def joined(self, connection: Connection, presented_key: str) -> None:
        """A handshake is complete; the key decides what becomes of the connection."""
        self.connections.add(connection)
        self.counters.accepted += 1
        phase = self.counters.accepted * _GOLDEN_RATIO % 1
        first_s = min(self.settings.hello_timeout_s, phase * self.settings.heartbeat_s)
        self.wheel.enter(connection, first_s)
        key = read_key(presented_key)
        if key is None:
            connection.close(CloseCode.KEY_REFUSED, REFUSED)
        elif not self.limits.enter(key):
            connection.close(CloseCode.LIMIT, "too many connections with this key")
        else:
            connection.document_key = key.document_key
            if key.kind == "client":
                connection.session = ValuesSession(connection.session.wire)
            self.hub.visit(connection, key.environment)

    def left(self, connection: Connection) -> None:
        """A connection is closing: it gets nothing more."""
        connection.session.end()
        if connection.environment is not None:
            connection.environment.leave(connection)

    def gone(self, connection: Connection) -> None:
        """A connection's transport is gone."""
        self.left(connection)
        self.admission.forget(connection)
        self.intake.forget(connection)
        if connection.document_key:
            self.limits.leave(connection.document_key)
        self.connections.discard(connection)
