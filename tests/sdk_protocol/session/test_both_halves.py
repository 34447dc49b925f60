"""Both halves of the session, connected by lists, under every order, loss and repeat."""

from __future__ import annotations

import random
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from halyard_protocol.messages import Hello, decode_client_message
from halyard_protocol.session.feed import (
    Delta,
    Feed,
    Gap,
    Merged,
    OtherEpoch,
    Outcome,
    Stored,
    epoch_order,
)
from halyard_protocol.session.frames import DEFLATED, PLAIN, SnapshotSource, WireFormat
from halyard_protocol.session.server import LOOK, State
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sdk_protocol.session.stream_world import Link, Swap, World

STEPS = 250


class ListGateway:
    """The least that a shell must do around a feed and its sessions."""

    def __init__(self, world: World) -> None:
        self.world = world
        aside = world.rnd.random() < 0.5
        self.feed = Feed(framing, at_once_bytes=0 if aside else 1_000_000)
        self.making: dict[WireFormat, SnapshotSource] = {}
        """Snapshots that are being made, of what the feed was when that began."""
        self.links: list[Link] = []
        self.heard: deque[Delta | Swap] = deque()
        self.reading: deque[tuple[Stored, int]] = deque()
        """What was read, and is still on its way, with the version it was read from."""
        self.seen: tuple[str, int, int] | None = None
        """Where the store was when it was glanced at."""
        self.lookers: list[Link] = []

    # --- the world's side

    def hear(self, message: Delta | Swap) -> None:
        self.heard.append(message)

    def accept(self, link: Link) -> None:
        link.session.wire = self.world.rnd.choice((PLAIN, DEFLATED))
        self.links.append(link)

    def closed(self, link: Link) -> None:
        self.links.remove(link)

    def writable(self, link: Link, *, writable: bool) -> None:
        link.session.writable = writable
        if writable and self.feed.installed:
            self.answer(link)
            self.write(link, link.session.advance(self.feed))

    def received(self, link: Link, payload: bytes) -> None:
        hello = decode_client_message(payload)
        assert isinstance(hello, Hello)
        link.session.hello(hello.resume)
        if self.feed.installed:
            self.answer(link)

    def steps(self) -> list[Callable[[], None]]:
        steps: list[Callable[[], None]] = [self.beat, self.admit, self.glance]
        if self.world.rnd.random() < 0.1:
            steps.append(self.issue)  # seldom, so that gateways are behind each other at times
        if self.reading:
            steps += [self.complete] * 2
        elif self.heard:
            steps += [self.merge] * 2
        if self.making:
            steps.append(self.made)
        return steps

    def settle(self) -> None:
        self.issue()
        while self.reading:
            self.complete()
        while self.heard:
            self.merge()
            while self.reading:
                self.complete()
        self.admit()
        self.made()
        self.admit()
        for link in self.links:
            self.write(link, link.session.advance(self.feed))
        self.beat()

    # --- its own

    def issue(self, *, whole: bool = False) -> None:
        """Begin to read the store, or what is newer of it."""
        store = self.world.store
        if store is not None:
            since = 0 if whole or not self.feed.installed else self.feed.changed
            self.reading.append((store.stored(since), since))

    def glance(self) -> None:
        """What was seen of the store arrives; look again."""
        if self.seen is not None:
            self.feed.checked(*self.seen)
        store = self.world.store
        self.seen = None if store is None else (store.epoch, store.changed, store.seq)

    def complete(self) -> None:
        """What was read arrives."""
        stored, since = self.reading.popleft()
        whole = since == 0
        outcome = self.feed.install(stored) if whole else self.feed.extend(stored, since)
        self.follow(outcome)
        if not isinstance(outcome, Gap | OtherEpoch):
            lookers, self.lookers = self.lookers, []
            for link in lookers:
                self.answer(link, looked=True)
            for link in self.links:
                self.answer(link)

    def merge(self) -> None:
        """The next published message."""
        message = self.heard.popleft()
        if not self.feed.installed:
            return
        if isinstance(message, Swap):
            if epoch_order(message.epoch) > epoch_order(self.feed.epoch):
                self.issue(whole=True)
        else:
            self.follow(self.feed.merge(message))

    def follow(self, outcome: Outcome) -> None:
        """Tell the sessions, or read."""
        if isinstance(outcome, Gap | OtherEpoch):
            self.issue(whole=isinstance(outcome, OtherEpoch) or self.world.rnd.random() < 0.5)
            return
        broadcast = self.feed.broadcast(outcome.since) if isinstance(outcome, Merged) else None
        for link in self.links:
            if broadcast is not None:
                self.write(link, link.session.offer(self.feed, broadcast))
            self.write(link, link.session.advance(self.feed))

    def answer(self, link: Link, *, looked: bool = False) -> None:
        """Answer a hello that is due."""
        answer = link.session.answer(self.feed, looked=looked)
        if answer is LOOK:
            self.lookers.append(link)
            self.issue()
        else:
            self.write(link, *answer)

    def admit(self) -> None:
        """Send the snapshots that are waited for."""
        for link in self.links:
            if link.session.state is State.WAITING:
                wire = link.session.wire
                if self.feed.snapshot_due(wire) and wire not in self.making:
                    self.making[wire] = self.feed.source()
                self.write(link, link.session.snapshot(self.feed))

    def made(self) -> None:
        """What was being made is there."""
        for wire, source in self.making.items():
            self.feed.keep(source.framed(framing, wire))
        self.making.clear()

    def beat(self) -> None:
        """Send heartbeats where they are due."""
        for link in self.links:
            self.write(link, link.session.heartbeat(self.feed))

    def write(self, link: Link, *frames: bytes | None) -> None:
        """Put frames on their way."""
        link.to_client.extend(map(received, _present(frames)))


def framing(parts: Sequence[bytes], wire: WireFormat) -> bytes:
    """Bytes that show their wire format."""
    payload = b"".join(parts)
    return payload if wire == PLAIN else zlib.compress(payload, 1)


def received(frame: bytes) -> bytes:
    """What the client's library makes of it."""
    return frame if frame.startswith(b"{") else zlib.decompress(frame)


def _present(frames: Iterable[bytes | None]) -> Iterable[bytes]:
    return (frame for frame in frames if frame is not None)


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_every_client_is_what_it_claims_never_goes_back_and_arrives(seed: int) -> None:
    world = World(random.Random(seed), ListGateway)
    for _ in range(STEPS):
        world.step()
    world.calm()
    world.check_arrival()
