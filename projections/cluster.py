"""Commands to a Redis Cluster: each goes to the node that owns the slot of its key.

Where the nodes' answers lead elsewhere they are followed: MOVED (the slot has another owner) and
ASK (this key has moved already), a bounded number of times and within one limit. A node that does
not answer is a reason to ask the others who owns what, and to try once more only if that has
changed: whoever called waits and comes again, as with a single server that is away.

Everything that is raised is redis-py's ``RedisError`` or an ``OSError``. Why not redis-py's own
client of a cluster: decision 0028.

Concurrency: for one event loop. The map of slots is asked for by one caller at a time; whoever
waited meanwhile takes its answer.
"""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeAlias

import structlog
from redis import exceptions
from redis.asyncio import Redis
from redis.crc import key_slot

log = structlog.get_logger("halyard.cluster")

ATTEMPTS = 16
"""How often a command is sent at most, following redirections."""
ASK_TIMEOUT_S = 2.0
"""How long one node may take to say who owns what."""
NODE_TIMEOUT_S = 4.0
"""How long one node may take over a command before the others are asked who owns the slot."""
SOON_S = 0.05
"""Before a command is sent again to nodes that do not agree yet, or hold half of its keys."""

TRIES_AGAIN = 4
"""How often a command is sent whose keys are half here and half there."""

UNREACHABLE = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ClusterDownError,
    exceptions.ReadOnlyError,
    OSError,
)
"""This node cannot do it; perhaps another one has taken its place."""


class Address(NamedTuple):
    """Where a node is reached."""

    host: str
    port: int


Slots: TypeAlias = tuple[int, int, Address]
"""The first and the last slot of a range, and its owner."""


def slot_of(key: str) -> int:
    """The slot of a key or a sharded channel."""
    return key_slot(key.encode())


class Cluster:
    """A client of a cluster; an asynchronous context manager.

    Args:
        seeds: nodes to ask first; any one that answers will do.
        connect: makes a client of one node, which closes itself with ``aclose``.
        timeout_s: within which a command is answered, redirections included.
    """

    def __init__(
        self, seeds: Sequence[Address], connect: Callable[[Address], Redis], timeout_s: float
    ) -> None:
        self._seeds = tuple(seeds)
        self._connect = connect
        self._timeout_s = timeout_s
        self.watchers: set[Callable[[], None]] = set()
        """Called when slots were found to have other owners; must not block."""
        self._clients: dict[Address, Redis] = {}
        self._slots: list[Slots] = []
        """By first slot; replaced whole."""
        self._known: tuple[Address, ...] = ()
        """Masters and replicas, as the cluster named them last."""
        self._moved: dict[int, Address] = {}
        """Owners of slots that were learnt from redirections since then."""
        self._silent: set[Address] = set()
        """Nodes that did not say who owns what when they were asked last."""
        self._asking = asyncio.Lock()
        self._asked = 0
        """How often the cluster was asked who owns what."""

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as unless_it_answers:
            unless_it_answers.push_async_callback(self.aclose)
            await self.refresh()
            unless_it_answers.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections to all nodes."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.aclose()

    # --- the commands that are used, as redis-py has them

    async def get(self, key: str) -> Any:
        """GET."""
        return await self._execute(key, "GET", key)

    async def evalsha(self, sha: str, numkeys: int, *keys_and_args: Any) -> Any:
        """EVALSHA; there must be a key."""
        return await self._execute(keys_and_args[0], "EVALSHA", sha, numkeys, *keys_and_args)

    async def eval(self, script: str, numkeys: int, *keys_and_args: Any) -> Any:
        """EVAL; there must be a key."""
        return await self._execute(keys_and_args[0], "EVAL", script, numkeys, *keys_and_args)

    async def spublish(self, shard_channel: str, message: bytes | str) -> Any:
        """SPUBLISH."""
        return await self._execute(shard_channel, "SPUBLISH", shard_channel, message)

    async def ping(self) -> bool:
        """Whether every slot has an owner that answers; raises where that is not so."""
        async with _in_time(self._timeout_s):
            if not self._complete():
                await self.refresh()
            if not self._complete():
                raise exceptions.ClusterDownError("there are slots that no node owns")
            for master in self.masters():
                await self._answering(master)
        return True

    # --- who owns what

    def owner(self, key: str) -> Address | None:
        """The node that owns a key or a sharded channel, as far as is known; None for nobody."""
        return self._owner(slot_of(key))

    def masters(self) -> tuple[Address, ...]:
        """The nodes that own slots."""
        return tuple(dict.fromkeys(owner for _, _, owner in self._slots))

    def node(self, address: Address) -> Redis:
        """The client of one node."""
        client = self._clients.get(address)
        if client is None:
            client = self._clients[address] = self._connect(address)
        return client

    async def refresh(self, suspect: Address | None = None) -> None:
        """Ask who owns what; ``suspect`` is asked last. Raises where no node can say.

        Whoever waits while another asks takes that answer.
        """
        asked = self._asked
        async with self._asking:
            if self._asked != asked:
                return
            try:
                await self._ask(suspect)
            finally:
                self._asked += 1

    async def _ask(self, suspect: Address | None) -> None:
        candidates = list(dict.fromkeys((*self._known, *self._seeds)))
        random.shuffle(candidates)
        candidates.sort(key=lambda address: address == suspect or address in self._silent)
        trouble: Exception = exceptions.ClusterDownError("no node was named")
        for candidate in candidates:
            try:
                async with asyncio.timeout(ASK_TIMEOUT_S):
                    answer = await self._send(candidate, ("CLUSTER", "SLOTS"))
            except (exceptions.RedisError, OSError) as error:
                trouble = error
                self._silent.add(candidate)
                continue
            self._silent.discard(candidate)
            if answer:
                await self._learn(candidate, answer)
                return
            trouble = exceptions.ClusterDownError(f"{_shown(candidate)} knows of no slots")
        raise trouble

    async def _learn(self, teller: Address, answer: list[list[Any]]) -> None:
        slots = sorted(
            (int(first), int(last), _address(nodes[0], teller)) for first, last, *nodes in answer
        )
        differs, self._slots = slots != self._slots, slots
        self._known = tuple(
            dict.fromkeys(_address(node, teller) for _, _, *nodes in answer for node in nodes)
        )
        self._moved.clear()
        self._silent &= {*self._known, *self._seeds}
        if differs:
            log.info("cluster_slots", masters=[_shown(each) for each in self.masters()])
            for watcher in tuple(self.watchers):
                watcher()
        for address in self._clients.keys() - {*self._known, *self._seeds}:
            await self._clients[address].aclose()
            self._clients.pop(address, None)

    def _owner(self, slot: int) -> Address | None:
        moved = self._moved.get(slot)
        if moved is not None:
            return moved
        at = bisect_right(self._slots, slot, key=lambda each: each[0]) - 1
        if at < 0 or slot > self._slots[at][1]:
            return None
        return self._slots[at][2]

    def _complete(self) -> bool:
        return sum(last - first + 1 for first, last, _ in self._slots) == 16_384

    # --- sending

    async def _execute(self, key: str, *command: Any) -> Any:
        async with _in_time(self._timeout_s):
            return await self._follow(slot_of(key), command)

    async def _follow(self, slot: int, command: tuple[Any, ...]) -> Any:
        asked: Address | None = None
        patience = TRIES_AGAIN
        for pause_s in _pauses():
            address = asked or await self._owner_or_down(slot)
            try:
                async with asyncio.timeout(NODE_TIMEOUT_S):
                    return await self._send(address, command, asking=asked is not None)
            except exceptions.MovedError as moved:
                asked, self._moved[slot] = None, _named(moved, address)
                await asyncio.sleep(pause_s)
            except exceptions.AskError as ask:
                asked = _named(ask, address)
            except exceptions.TryAgainError:
                # The keys are on their way, one after the other.
                patience -= 1
                if not patience:
                    raise
                asked = None
                await asyncio.sleep(SOON_S)
            except UNREACHABLE:
                asked = None
                if not await self._has_another_owner(slot, address):
                    raise
        raise exceptions.ClusterError("the nodes lead from one to the other without end")

    async def _owner_or_down(self, slot: int) -> Address:
        owner = self._owner(slot)
        if owner is None:
            await self.refresh()
            owner = self._owner(slot)
        if owner is None:
            raise exceptions.ClusterDownError(f"no node owns slot {slot}")
        return owner

    async def _has_another_owner(self, slot: int, failed: Address) -> bool:
        try:
            await self.refresh(suspect=failed)
        except (exceptions.RedisError, OSError):
            return False
        return self._owner(slot) not in (None, failed)

    async def _send(
        self, address: Address, command: tuple[Any, ...], *, asking: bool = False
    ) -> Any:
        node: Any = self.node(address)  # redis-py has no types for any command
        if not asking:
            return await node.execute_command(*command)
        # ASKING is for the next command of the same connection, so both go in one piece.
        async with node.pipeline(transaction=False) as pipe:
            pipe.execute_command("ASKING")
            pipe.execute_command(*command)
            _, answer = await pipe.execute(raise_on_error=False)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _answering(self, master: Address) -> None:
        try:
            await self.node(master).ping()
        except UNREACHABLE:
            await self.refresh(suspect=master)
            if master in self.masters():
                raise


@asynccontextmanager
async def _in_time(limit_s: float) -> AsyncIterator[None]:
    """Around the driver, not inside: decision 0018."""
    try:
        async with asyncio.timeout(limit_s):
            yield
    except TimeoutError as error:
        raise exceptions.TimeoutError("the Redis Cluster did not answer in time") from error


def _pauses() -> Iterator[float]:
    """Before each following of MOVED; the first one is followed at once."""
    yield 0
    for _ in range(ATTEMPTS - 1):
        yield SOON_S


def _address(node: Sequence[Any], teller: Address) -> Address:
    # A node that does not know its own address, or keeps it, is meant where it was asked.
    host = (node[0] or b"").decode()
    return Address(teller.host if host in ("", "?") else host, int(node[1]))


def _named(redirection: exceptions.AskError, at: Address) -> Address:
    return Address(redirection.host or at.host, redirection.port)


def _shown(address: Address) -> str:
    return f"{address.host}:{address.port}"
