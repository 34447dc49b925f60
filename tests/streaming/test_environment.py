"""An environment of the gateway in the same world as the bare sessions: lists, no sockets."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, cast
from unittest.mock import patch

from halyard_protocol.close_codes import CloseCode
from halyard_protocol.messages import Hello, decode_client_message
from halyard_protocol.session.feed import Delta, Stored
from halyard_protocol.session.server import ServerSession
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming import rounds
from streaming.admission import Admission
from streaming.counters import Counters
from streaming.environment import Environment, Need
from streaming.settings import StreamSettings
from tests.sdk_protocol.session.stream_world import Link, Store, Swap, World

STEPS = 250
KEY = "key:abc"
KEY_DOCUMENT = b'{"id":"k","kind":"server","version":0}'
"""Older than any seq: it is in every ruleset, and in no delta."""
SETTINGS = StreamSettings(inbox=2, snapshot_budget_bytes=300)


class ListConnection:
    """What an environment sees of a connection, with a list for a transport."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.document_key = KEY
        self.origin = None
        self.environment: Environment | None = None

    @property
    def session(self) -> ServerSession:
        return self.link.session

    @property
    def transport(self) -> ListConnection:
        return self

    @property
    def is_open(self) -> bool:
        return not self.link.hung_up

    def write(self, frame: bytes) -> None:
        assert self.is_open
        assert self.session.writable
        header = {126: 4, 127: 10}.get(frame[1], 2)
        self.link.to_client.append(frame[header:])

    send = write

    def close(self, code: CloseCode, reason: str) -> None:
        assert code is CloseCode.INTERNAL, f"a live key was refused: {reason}"
        self.session.end()
        self.link.hung_up = True
        if self.environment is not None:
            self.environment.leave(cast("Any", self))


class EnvironmentGateway:
    """The real environment, read for by the world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.admission = Admission(
            SETTINGS.snapshot_budget_bytes, Counters(), SETTINGS.share_kept_s
        )
        self.environment = Environment(
            "env", SETTINGS, Counters(), self.admission, lambda environment: None
        )
        self.environment.subscribed = True
        self.connections: dict[Link, Any] = {}
        self.reading: tuple[Need, Store | None, int] | None = None

    # --- the world's side

    def hear(self, message: Delta | Swap) -> None:
        if isinstance(message, Swap):
            self.environment.hear_swap(message.epoch, message.to, message.seq)
        else:
            self.environment.hear(message, SETTINGS.inbox)

    def accept(self, link: Link) -> None:
        self.connections[link] = ListConnection(link)
        self.environment.visit(self.connections[link])

    def closed(self, link: Link) -> None:
        connection = self.connections.pop(link)
        connection.session.end()
        link.hung_up = True
        self.environment.leave(connection)

    def writable(self, link: Link, *, writable: bool) -> None:
        link.session.writable = writable
        connection = self.connections[link]
        if writable and connection.is_open:
            self.admission.drained(connection)
            if connection.environment is not None:
                self.environment.drained(connection)

    def received(self, link: Link, payload: bytes) -> None:
        hello = decode_client_message(payload)
        assert isinstance(hello, Hello)
        link.session.hello(hello.resume)
        connection = self.connections[link]
        if connection.environment is not None:
            self.environment.answer(connection)

    def steps(self) -> list[Callable[[], None]]:
        steps: list[Callable[[], None]] = [self.beat]
        if self.reading is not None:
            steps += [self.complete] * 2
        elif self.environment.need is not Need.NOTHING:
            steps += [self.issue] * 2
        elif self.world.rnd.random() < 0.2:
            steps.append(self.compare)
        return steps

    def settle(self) -> None:
        for _ in range(2):  # a difference is acted on when it is seen for the second time
            self.compare()
            while self.reading is not None or self.environment.need is not Need.NOTHING:
                if self.reading is None:
                    self.issue()
                self.complete()
        self.beat()

    # --- its own

    def compare(self) -> None:
        if self.environment.feed.installed:
            self.environment.want(Need.COMPARE)

    def issue(self) -> None:
        """A read begins: what is there now is what it will find."""
        self.environment.reading = True
        store = self.world.store
        copy = (
            None
            if store is None
            else Store(store.epoch, store.changed, store.seq, store.horizon, store.documents)
        )
        self.reading = (self.environment.begin(), copy, self.environment.feed.changed)

    def complete(self) -> None:
        """A read ends."""
        assert self.reading is not None
        (need, store, since), self.reading = self.reading, None
        if not self.world.quiet and self.world.rnd.random() < 0.1:
            self.environment.failed()
        elif store is None:
            self._nothing_there()
        else:
            self._found(need, store, since)
        self.environment.catch_up_with_inbox()
        self.environment.reading = False

    def _nothing_there(self) -> None:
        if self.environment.feed.installed:
            self.environment.missing()
        else:
            self.environment.unknown(current=False)

    def _found(self, need: Need, store: Store, since: int) -> None:
        match need:
            case Need.WHOLE:
                stored = store.stored()
                documents = {**stored.documents, KEY: KEY_DOCUMENT}
                self.environment.installed(
                    Stored(stored.epoch, stored.changed, stored.seq, stored.horizon, documents)
                )
            case Need.NEWER:
                self.environment.extended(store.stored(since), since)
            case _:
                self.environment.compared(store.epoch, store.changed, store.seq)

    def beat(self) -> None:
        for connection in self.connections.values():
            if connection.is_open:
                frame = connection.session.heartbeat(self.environment.feed)
                if frame is not None:
                    connection.send(frame)


async def live(seed: int) -> None:
    world = World(random.Random(seed), EnvironmentGateway)
    for _ in range(STEPS):
        world.step()
        if world.rnd.random() < 0.3:
            await asyncio.sleep(0)  # a slice of whatever round is under way
    for _ in range(3):
        world.calm()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    world.calm()
    world.check_arrival()


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_no_order_of_events_misleads_a_client_or_refuses_a_live_key(seed: int) -> None:
    with patch.object(rounds, "SLICE", 1):
        asyncio.run(live(seed))
