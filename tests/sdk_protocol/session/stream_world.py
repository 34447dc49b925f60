"""A world in which the stream runs without sockets, clocks or Redis, in any order of events.

A log of truth, a store that follows it (and is lost, reverted, pruned and begun anew), gateways
that hear of it through losses and repeats, and clients that come, go, move and lose frames. Every
gateway and every client is the real session; what moves bytes between them are lists here.

After each message a client's claim is checked: what it has equals the fold at the seq that it
names, and within one wire epoch it never goes back. At the end, when nothing is lost any more,
everybody must arrive at the head.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol, assert_never

import msgspec
from halyard_protocol.messages import SdkInfo, Welcome, decode_server_message
from halyard_protocol.ruleset import Flag
from halyard_protocol.session.client import ClientSession
from halyard_protocol.session.client_actions import (
    Actions,
    Close,
    Connect,
    Redial,
    Report,
    Send,
    Stop,
    Updated,
)
from halyard_protocol.session.feed import Delta, Stored, epoch_order
from halyard_protocol.session.server import ServerSession

FLAGS = ("a", "b", "c", "d", "e")
LONG = "s" * 1100
"""A salt that makes a message worth deflating."""
Documents = dict[str, tuple[int, str | None]]
"""Flag -> version, and its salt or, for a tombstone, None."""


class History:
    """What each wire epoch has been: commits in order, and how far its log goes."""

    def __init__(self, epoch: str) -> None:
        self.epoch = epoch
        self.commits: list[tuple[int, dict[str, str | None]]] = []
        self.head = 0

    def documents(self, seq: int) -> Documents:
        """The fold at a seq."""
        documents: Documents = {}
        for to, salts in self.commits:
            if to <= seq:
                documents |= {key: (to, salt) for key, salt in salts.items()}
        return documents

    def living(self, seq: int) -> dict[str, tuple[int, str]]:
        """What an SDK has at a seq."""
        found = self.documents(seq).items()
        return {key: (version, salt) for key, (version, salt) in found if salt is not None}

    def changed(self, seq: int) -> int:
        """The last seq up to ``seq`` that altered anything."""
        return max((to for to, _ in self.commits if to <= seq), default=0)


class Store(msgspec.Struct):
    """What Redis holds."""

    epoch: str
    changed: int
    seq: int
    horizon: int
    documents: Documents

    def stored(self, since: int = 0) -> Stored:
        """A reading of it, or of what is newer than ``since``."""
        newer = {key: each for key, each in self.documents.items() if each[0] > since}
        return Stored(self.epoch, self.changed, self.seq, self.horizon, as_documents(newer))


def as_documents(documents: Documents) -> dict[str, bytes]:
    """The same in their stored form."""
    return {f"flag:{key}": _body(key, *each) for key, each in documents.items()}


def _body(key: str, version: int, salt: str | None) -> bytes:
    fields = {"deleted": True} if salt is None else {"salt": salt}
    return msgspec.json.encode({"key": key, "version": version, **fields})


class Swap(msgspec.Struct, frozen=True):
    """Word that another generation is the active one."""

    epoch: str
    to: int
    seq: int


class Gateway(Protocol):
    """One gateway: what the world does to it, one step at a time."""

    def hear(self, message: Delta | Swap) -> None:
        """Something was published."""

    def steps(self) -> list[Callable[[], None]]:
        """What it could do now."""

    def settle(self) -> None:
        """Do all of it, and look at the store."""

    def accept(self, link: Link) -> None:
        """A connection."""

    def received(self, link: Link, payload: bytes) -> None:
        """A message from a client."""

    def writable(self, link: Link, *, writable: bool) -> None:
        """The transport's buffer has filled, or was drained."""

    def closed(self, link: Link) -> None:
        """A connection is gone."""


class Link:
    """One connection: two lists."""

    def __init__(self, number: int, gateway: Gateway) -> None:
        self.number = number
        self.gateway = gateway
        self.session = ServerSession()
        self.to_client: deque[bytes] = deque()
        self.to_server: deque[bytes] = deque()
        self.hung_up = False
        """The gateway has closed it, and the client does not know yet."""

    def pass_on(self) -> None:
        """The gateway takes in the client's next message."""
        self.gateway.received(self, self.to_server.popleft())


class Client:
    """One SDK: a real client session, and at most two links."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.session = ClientSession(SdkInfo("test"), 0.0)
        self.links: dict[int, Link] = {}
        self.wants = 1
        """Connections to be opened."""
        self.highest: dict[str, int] = {}

    def dial(self) -> None:
        """Open a connection to some gateway."""
        self.wants -= 1
        link = Link(self.world.number(), self.world.rnd.choice(self.world.gateways))
        self.links[link.number] = link
        link.gateway.accept(link)
        self.do(self.session.opened(link.number, 0.0))

    def lose(self, link: Link) -> None:
        """A connection breaks."""
        if self.links.pop(link.number, None) is not None:
            link.gateway.closed(link)
            self.do(self.session.closed(link.number, None, "lost", 0.0))

    def receive(self, link: Link, *, lost: bool = False) -> None:
        """Take in the next message of a link; losing one, what it said must be noticed later."""
        message = decode_server_message(link.to_client.popleft())
        if not lost or isinstance(message, Welcome):
            self.do(self.session.received(link.number, message, 0.0))
            self.check()

    def do(self, actions: Actions) -> None:
        """Carry out what the session asks for."""
        for action in actions:
            match action:
                case Send(number, payload):
                    if number in self.links:
                        self.links[number].to_server.append(payload)
                case Close(number):
                    link = self.links.pop(number, None)
                    if link is not None:
                        link.gateway.closed(link)
                case Connect() | Redial():
                    self.wants = 1
                case Updated() | Report():
                    pass
                case Stop(reason):
                    raise AssertionError(f"stopped: {reason}")
                case _:
                    assert_never(action)

    def check(self) -> None:
        """What it has is what it claims to have."""
        replica = self.session.replica
        if replica is None:
            return
        history = self.world.histories[replica.epoch]
        assert replica.seq <= history.head, "claims what does not exist"
        assert self.living() == history.living(replica.seq), "is not what it claims"
        assert replica.seq >= self.highest.get(replica.epoch, 0), "went back"
        self.highest[replica.epoch] = replica.seq

    def living(self) -> dict[str, tuple[int, str]]:
        """Flag -> version and salt, of those that it has."""
        replica = self.session.replica
        flags = {} if replica is None else replica.ruleset.flags
        return {
            key: (flag.version, flag.salt) for key, flag in flags.items() if isinstance(flag, Flag)
        }


class World:
    """All of it, driven by one source of chance.

    Args:
        make: makes a gateway of this world.
    """

    def __init__(self, rnd: random.Random, make: Callable[[World], Gateway]) -> None:
        self.rnd = rnd
        self.quiet = False
        """Nothing is lost any more."""
        self.history = History("1.1")
        self.histories = {self.history.epoch: self.history}
        self.store: Store | None = None
        self.saved: Store | None = None
        self._make = make
        self._numbers = 0
        self.gateways = [make(self) for _ in range(2)]
        self.clients = [Client(self) for _ in range(2)]

    def number(self) -> int:
        """Numbers that only grow."""
        self._numbers += 1
        return self._numbers

    # --- the log and the store

    def append(self) -> None:
        """One command: it alters some flags, or none of them."""
        self.history.head += self.rnd.choice((1, 1, 2))
        known = self.history.documents(self.history.head)
        keys = self.rnd.sample(FLAGS, self.rnd.choice((0, 1, 1, 2)))
        salts = {key: self.rnd.choice((None, f"{self.history.head}", LONG)) for key in keys}
        told = {key: salt for key, salt in salts.items() if salt is not None or key in known}
        if told:
            self.history.commits.append((self.history.head, told))

    def fork(self) -> None:
        """History begins anew from an earlier point, or the same log gives other documents."""
        epoch, content = epoch_order(self.history.epoch)
        old, restored = self.history, self.rnd.random() < 0.5
        new = History(f"{epoch + 1}.1" if restored else f"{epoch}.{content + 1}")
        new.head = self.rnd.randint(0, old.head) if restored else old.head
        for to, salts in old.commits:
            if to <= new.head and self.rnd.random() < 0.8:
                new.commits.append((to, salts))
        self.history = self.histories[new.epoch] = new

    def project(self) -> None:
        """One step of a projector: build, repair, or apply the next commit."""
        store, history = self.store, self.history
        if store is None or epoch_order(store.epoch) < epoch_order(history.epoch):
            at = history.head
            changed = history.changed(at)
            self.store = Store(history.epoch, changed, at, 0, history.documents(at))
            self.publish(Swap(history.epoch, changed, at))
            return
        following = [(to, salts) for to, salts in history.commits if to > store.changed]
        if not following:
            store.seq = max(store.seq, history.head)
            return
        to, salts = following[0]
        documents: Documents = {key: (to, salt) for key, salt in salts.items()}
        delta = Delta(store.epoch, store.changed, to, to, as_documents(documents))
        store.documents = store.documents | documents
        store.changed = store.seq = to
        self.publish(delta)

    def prune(self) -> None:
        """Drop old tombstones."""
        if self.store is not None and self.store.changed:
            horizon = self.rnd.randint(0, self.store.changed)
            self.store.horizon = max(self.store.horizon, horizon)
            self.store.documents = {
                key: (version, salt)
                for key, (version, salt) in self.store.documents.items()
                if salt is not None or version > horizon
            }

    def save(self) -> None:
        """Remember the store."""
        self.saved = self.store and msgspec.structs.replace(self.store)

    def revert(self) -> None:
        """The store comes back from an old dump."""
        if self.saved is not None:
            self.store = msgspec.structs.replace(self.saved)

    def flush(self) -> None:
        """The store is lost."""
        self.store = None

    def publish(self, message: Delta | Swap) -> None:
        """Tell every gateway, more or less."""
        for gateway in self.gateways:
            times = 1 if self.quiet else self.rnd.choices((0, 1, 2), (1, 8, 1))[0]
            for _ in range(times):
                gateway.hear(message)

    # --- gateways and clients

    def restart_gateway(self) -> None:
        """A gateway forgets everything; its clients must dial again."""
        old = self.rnd.choice(self.gateways)
        self.gateways[self.gateways.index(old)] = self._make(self)
        for client in self.clients:
            for link in [link for link in client.links.values() if link.gateway is old]:
                client.lose(link)

    def links(self) -> list[tuple[Client, Link]]:
        """Everybody's connections."""
        return [(client, link) for client in self.clients for link in client.links.values()]

    def disturb(self) -> None:
        """Something goes wrong, or is at least unusual."""
        faults: list[Callable[[], None]] = [self.fork, self.prune, self.save, self.revert]
        faults += [self.flush, self.restart_gateway]
        for client, link in self.links():
            faults.append(partial(client.lose, link))
            faults += [partial(self.toggle, link)] * 2
        moving = self.rnd.choice(self.clients)
        faults.append(lambda: setattr(moving, "wants", 1))  # a second link beside the first
        self.rnd.choice(faults)()

    def toggle(self, link: Link) -> None:
        """A transport's buffer fills, or drains."""
        link.gateway.writable(link, writable=not link.session.writable)

    def steps(self) -> list[Callable[[], None]]:
        """Everything that could happen next."""
        steps: list[Callable[[], None]] = [self.project] * 3
        for gateway in self.gateways:
            steps += gateway.steps()
        for client in self.clients:
            if client.wants:
                steps.append(client.dial)
        for client, link in self.links():
            if link.hung_up and not link.to_client:
                steps.append(partial(client.lose, link))
            if link.to_client:
                lost = self.rnd.random() < 0.03
                steps += [partial(client.receive, link, lost=lost)] * 2
            if link.to_server:
                steps += [link.pass_on] * 2
        return steps

    def step(self) -> None:
        """One thing happens."""
        chance = self.rnd.random()
        if chance < 0.08:
            self.append()
        elif chance < 0.13:
            self.disturb()
        else:
            self.rnd.choice(self.steps())()

    def calm(self) -> None:
        """Nothing is lost any more, and everybody does what is to be done."""
        self.quiet = True
        for _ in range(30):
            for _ in range(20):
                self.project()
            for gateway in self.gateways:
                gateway.settle()
            for client in self.clients:
                if client.wants:
                    client.dial()
            for client, link in self.links():
                if not link.session.writable:
                    link.gateway.writable(link, writable=True)
                while link.to_server:
                    link.pass_on()
                while link.to_client and link.number in client.links:
                    client.receive(link)
                if link.hung_up:
                    client.lose(link)

    def check_arrival(self) -> None:
        """Everybody is at the head."""
        for client in self.clients:
            replica = client.session.replica
            assert replica is not None
            assert (replica.epoch, replica.seq) == (self.history.epoch, self.history.head)
            assert client.living() == self.history.living(self.history.head)
            assert client.session.stale_since_s is None
