"""Both halves of the session, two gateways, two connections: every order of events.

A log per wire epoch, each a fork of the one before it. Gateways follow at their own pace, SDKs are
handed over between them; frames wait in pipes. Whatever happens, what a client claims is the fold
of the log at the seq it names, it never goes back within an epoch, and in the end it has it all.
"""

from __future__ import annotations

import json
from collections import deque
from random import Random

import pytest
from halyard_protocol.messages import Hello, SdkInfo, decode_client_message, decode_server_message
from halyard_protocol.session.client import ClientSession
from halyard_protocol.session.client_actions import Actions, Close, Connect, Redial, Send, Stop
from halyard_protocol.session.feed import Feed, Stored
from halyard_protocol.session.server import LOOK, ServerSession, goodbye

Log = list[tuple[str, bool]]
"""Which flag was put (True) or deleted, event by event."""


def fold(log: Log, upto: int) -> dict[str, tuple[int, bool]]:
    """The last event of each flag: its seq, and whether the flag is there after it."""
    return {key: (seq, put) for seq, (key, put) in enumerate(log[:upto], start=1)}


def living(log: Log, upto: int) -> dict[str, int]:
    return {key: seq for key, (seq, put) in fold(log, upto).items() if put}


def stored(epoch: int, log: Log, upto: int) -> Stored:
    documents = {"environment": b'{"key":"dev","version":0}'}
    for key, (seq, put) in fold(log, upto).items():
        body = {"key": key, "version": seq} | ({} if put else {"deleted": True})
        documents[f"flag:{key}"] = json.dumps(body).encode()
    return Stored(f"{epoch}.0", upto, upto, 0, documents)


class Pipe:
    """A connection: a gateway's session, and what is under way in both directions."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.server = ServerSession()
        self.up: deque[bytes] = deque()
        self.down: deque[bytes] = deque()

    def serve(self) -> None:
        """The gateway does what it can for this connection."""
        if self.up:
            message = decode_client_message(self.up.popleft())
            assert isinstance(message, Hello)
            self.server.hello(message.resume)
        answer = self.server.answer(self.feed, looked=True)
        assert answer is not LOOK
        self.down.extend(answer)
        for frame in (self.server.advance(self.feed), self.server.snapshot(self.feed)):
            if frame is not None:
                self.down.append(frame)

    def beat(self) -> None:
        frame = self.server.heartbeat(self.feed)
        if frame is not None:
            self.down.append(frame)


class World:
    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.logs: dict[int, Log] = {1: [("a", True)]}
        self.feeds = [Feed(), Feed()]
        for feed in self.feeds:
            feed.install(stored(1, self.logs[1], 1))
        self.client = ClientSession(SdkInfo(), 0.0)
        self.pipes: dict[int, Pipe] = {}
        self.opened = 0
        self.highest: dict[str, int] = {}
        self.wanted = True

    @property
    def epoch(self) -> int:
        return max(self.logs)

    def write(self) -> None:
        self.logs[self.epoch].append((self.chance.choice("abc"), self.chance.random() < 0.7))

    def fork(self) -> None:
        log = self.logs[self.epoch]
        self.logs[self.epoch + 1] = log[: self.chance.randint(0, len(log))]

    def follow(self) -> None:
        """A gateway sees some state that was true once."""
        epoch = self.chance.randint(max(1, self.epoch - 1), self.epoch)
        log = self.logs[epoch]
        self.chance.choice(self.feeds).install(stored(epoch, log, self.chance.randint(0, len(log))))

    def open(self) -> None:
        if self.wanted:
            self.wanted = False
            self.opened += 1
            self.pipes[self.opened] = Pipe(self.chance.choice(self.feeds))
            self.perform(self.client.opened(self.opened, 0.0))

    def serve(self) -> None:
        for pipe in self.some_pipes():
            pipe.serve()

    def beat(self) -> None:
        for pipe in self.some_pipes():
            pipe.beat()

    def deliver(self) -> None:
        for link, pipe in list(self.pipes.items()):
            if pipe.down and self.chance.random() < 0.6:
                message = decode_server_message(pipe.down.popleft())
                self.perform(self.client.received(link, message, 0.0))
                self.check()

    def dismiss(self) -> None:
        for pipe in self.some_pipes():
            pipe.down.append(goodbye(pipe.feed, "deploy", 0))

    def lose(self) -> None:
        if self.pipes:
            link = self.chance.choice(list(self.pipes))
            del self.pipes[link]
            self.perform(self.client.closed(link, None, "lost", 0.0))

    def some_pipes(self) -> list[Pipe]:
        return [pipe for pipe in self.pipes.values() if self.chance.random() < 0.6]

    def perform(self, actions: Actions) -> None:
        for action in actions:
            match action:
                case Send(link, payload):
                    if link in self.pipes:
                        self.pipes[link].up.append(payload)
                case Close(link):
                    self.pipes.pop(link, None)
                case Connect() | Redial():
                    self.wanted = True
                case Stop():
                    pytest.fail("nobody said to stop")

    def check(self) -> None:
        replica = self.client.replica
        if replica is None:
            return
        log = self.logs[int(replica.epoch.partition(".")[0])]
        has = {key: flag.version for key, flag in replica.ruleset.flags.items()}
        assert replica.seq <= len(log)
        assert has == living(log, replica.seq), f"claims {replica.epoch} at {replica.seq}"
        assert replica.seq >= self.highest.get(replica.epoch, 0), "went back"
        self.highest[replica.epoch] = replica.seq

    def settle(self) -> None:
        for feed in self.feeds:
            feed.install(stored(self.epoch, self.logs[self.epoch], len(self.logs[self.epoch])))
        for _ in range(40):
            self.open()
            for pipe in list(self.pipes.values()):
                pipe.serve()
                pipe.beat()
            for link, pipe in list(self.pipes.items()):
                while pipe.down:
                    message = decode_server_message(pipe.down.popleft())
                    self.perform(self.client.received(link, message, 0.0))
                    self.check()


@pytest.mark.parametrize("block", range(8))
def test_a_client_between_two_gateways_is_always_right_and_always_arrives(block: int) -> None:
    for seed in range(block * 100, block * 100 + 100):
        world = World(Random(seed))
        steps = [world.write, world.follow, world.open, world.serve, world.serve, world.deliver]
        steps += [world.deliver, world.deliver, world.beat]
        rare = [world.dismiss, world.dismiss, world.fork, world.lose]
        for _ in range(120):
            world.chance.choice(rare if world.chance.random() < 0.08 else steps)()
        world.settle()
        replica = world.client.replica
        assert replica is not None
        head = len(world.logs[world.epoch])
        assert (replica.epoch, replica.seq) == (f"{world.epoch}.0", head), f"seed {seed}"
        assert world.client.stale_since_s is None, f"seed {seed}"
        assert len(world.pipes) == 1, f"seed {seed}: only the newest connection remains"
