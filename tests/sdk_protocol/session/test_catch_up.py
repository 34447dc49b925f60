"""Whoever joins or resumes, from wherever and in whichever wire format, ends with a fresh snapshot.

Clients here only do what the specification says of the messages, so that no cleverness of the SDK
hides what the server's half forgot.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import msgspec
from halyard_protocol.messages import (
    Changes,
    Heartbeat,
    Resume,
    Snapshot,
    Welcome,
    decode_server_message,
)
from halyard_protocol.session.feed import RENEWED_FROM, Delta, Feed, Merged, Stored
from halyard_protocol.session.frames import DEFLATED, PLAIN, SnapshotSource, WireFormat
from halyard_protocol.session.server import LOOK, ServerSession, State
from hypothesis import given, settings
from hypothesis import strategies as st

HORIZON = 3
KEYS = tuple("abcdefgh")
Fold = dict[str, bytes]


def framing(parts: Sequence[bytes], wire: WireFormat) -> bytes:
    payload = b"".join(parts)
    return payload if wire == PLAIN else zlib.compress(payload, 1)


def flag(key: str, version: int, *, deleted: bool = False) -> bytes:
    fields = {"deleted": True} if deleted else {"salt": "s" * 300}
    return msgspec.json.encode({"key": key, "version": version, **fields})


class Reader:
    """A client: what it was told, applied."""

    def __init__(self, wire: WireFormat, position: int = 0, fold: Fold | None = None) -> None:
        self.session = ServerSession(wire)
        self.position = position
        self.fold: Fold = dict(fold or {})
        self.told: list[type] = []

    def read(self, *frames: bytes | None) -> None:
        for frame in frames:
            if frame is not None:
                plain = frame.startswith(b"{")
                assert plain or self.session.wire == DEFLATED
                self._apply(frame if plain else zlib.decompress(frame))

    def _apply(self, payload: bytes) -> None:
        message = decode_server_message(payload)
        self.told.append(type(message))
        match message:
            case Snapshot():
                self.position, self.fold = message.seq, read(message.flags)
            case Changes() if message.to > self.position:
                assert message.from_ <= self.position, "a gap"
                self.fold |= read(message.put.flags)
                for key in message.delete.flags:
                    self.fold.pop(key, None)
                self.position = message.to
            case Heartbeat():
                assert self.position >= message.changed, "vouched for what was not sent"
                self.position = max(self.position, message.seq)
            case _:
                pass


def read(flags: Sequence[msgspec.Raw]) -> Fold:
    return {msgspec.json.decode(each)["key"]: bytes(each) for each in flags}


class Gateway:
    """A feed, those who read it, and the folds that it went through."""

    def __init__(self, at_once_bytes: int, keys: Sequence[str] = KEYS[:5]) -> None:
        self.feed = Feed(framing, at_once_bytes=at_once_bytes)
        documents = {f"flag:{key}": flag(key, HORIZON) for key in keys}
        self.feed.install(Stored("1.1", HORIZON, HORIZON, HORIZON, documents))
        self.folds: dict[int, Fold] = {HORIZON: self.fold()}
        self.readers: list[Reader] = []
        self.making: dict[WireFormat, SnapshotSource] = {}

    def fold(self) -> Fold:
        message = decode_server_message(b"".join(self.feed.source().parts()))
        assert isinstance(message, Snapshot)
        return read(message.flags)

    def change(self, keys: set[str], *, deleted: bool) -> None:
        to = self.feed.changed + 1
        documents = {f"flag:{key}": flag(key, to, deleted=deleted) for key in keys}
        outcome = self.feed.merge(Delta("1.1", to - 1, to, to, documents))
        assert isinstance(outcome, Merged)
        self.folds[to] = self.fold()
        broadcast = self.feed.broadcast(outcome.since)
        for reader in self.readers:
            reader.read(reader.session.offer(self.feed, broadcast))

    def join(self, wire: WireFormat) -> None:
        reader = Reader(wire)
        self.readers.append(reader)
        self.ask(reader, None)

    def resume(self, wire: WireFormat, seq: int) -> None:
        at = HORIZON + seq % (self.feed.changed - HORIZON + 1)
        reader = Reader(wire, at, self.folds[at])
        self.readers.append(reader)
        self.ask(reader, Resume("1.1", at))
        assert reader.told == ([Welcome] if at == self.feed.changed else [Welcome, Changes])

    def ask(self, reader: Reader, resume: Resume | None) -> None:
        reader.session.hello(resume)
        answer = reader.session.answer(self.feed)
        assert answer is not LOOK
        reader.read(*answer)

    def admit(self) -> None:
        """Send the snapshots that are there, and have the others made."""
        for reader in self.readers:
            session = reader.session
            if session.state is State.WAITING and session.writable:
                if self.feed.snapshot_due(session.wire) and session.wire not in self.making:
                    self.making[session.wire] = self.feed.source()
                reader.read(session.snapshot(self.feed))
                reader.read(session.advance(self.feed))

    def make(self) -> None:
        for wire, source in self.making.items():
            self.feed.keep(source.framed(framing, wire))
        self.making.clear()

    def block(self, number: int) -> None:
        """One reader's transport fills up, or is drained."""
        if self.readers:
            reader = self.readers[number % len(self.readers)]
            reader.session.writable = not reader.session.writable
            reader.read(reader.session.advance(self.feed))

    def settle(self) -> None:
        for reader in self.readers:
            reader.session.writable = True
        for _ in range(3):
            self.admit()
            self.make()
        for reader in self.readers:
            reader.read(reader.session.advance(self.feed), reader.session.heartbeat(self.feed))


wires = st.sampled_from((PLAIN, DEFLATED))
steps = st.one_of(
    st.tuples(
        st.just("change"), st.sets(st.sampled_from(KEYS), min_size=1, max_size=2), st.booleans()
    ),
    st.tuples(st.just("join"), wires),
    st.tuples(st.just("resume"), wires, st.integers(0, 60)),
    st.tuples(st.just("admit")),
    st.tuples(st.just("make")),
    st.tuples(st.just("block"), st.integers(0, 20)),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(steps, max_size=60), st.sampled_from((0, 1_000_000)))
def test_everybody_ends_with_a_fresh_snapshot(
    steps: list[tuple[object, ...]], at_once_bytes: int
) -> None:
    gateway = Gateway(at_once_bytes)
    for name, *arguments in steps:
        if name == "change":
            keys, deleted = arguments
            gateway.change(keys, deleted=deleted)  # type: ignore[arg-type]
        else:
            getattr(gateway, str(name))(*arguments)
    gateway.settle()
    for reader in gateway.readers:
        assert reader.position == gateway.feed.changed
        assert reader.fold == gateway.fold()


def test_a_storm_of_joiners_while_flags_change_makes_few_snapshots() -> None:
    keys = [f"flag-{number}" for number in range(80)]
    gateway, made = Gateway(at_once_bytes=0, keys=keys), 0
    for number in range(200):
        gateway.change({keys[number % len(keys)]}, deleted=False)
        for _ in range(5):
            gateway.join(DEFLATED)
        gateway.admit()
        made += len(gateway.making)
        gateway.make()
    gateway.settle()
    assert made <= 200 / (len(keys) * RENEWED_FROM)
    assert all(reader.fold == gateway.fold() for reader in gateway.readers)
    told = [sum(kind is Snapshot for kind in reader.told) for reader in gateway.readers]
    assert told == [1] * 1000
