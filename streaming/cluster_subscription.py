"""Listening on a Redis Cluster: one connection to each node that owns channels that are wanted.

Sharded channels belong to slots as keys do, and a slot has one master at a time. Whatever says that
a channel is no longer heard where it was (its node is gone, or has given the slot away, or was
found deaf) is reported as lost for that channel alone. Then the nodes are asked who owns what, and
the channel is subscribed to there; the confirmation is reported, and that is the moment to read.

Nothing is retried silently: what was heard before and after a move may have a gap between.

Concurrency: a task for each node, in the group of :meth:`ClusterSubscription.run`. The methods
change state first and wait afterwards, so that no two of them can disagree.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Set
from contextlib import suppress

import structlog
from redis.exceptions import RedisError

from projections.cluster import Address, Cluster
from projections.script import RedisClient
from streaming.subscription import Subscription

log = structlog.get_logger("halyard.stream")

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0
RECHECK_S = 10.0
"""How often the nodes are asked who owns what while nothing seems wrong."""

Subscribed = Callable[[str], None]
Heard = Callable[[str, bytes], None]
Lost = Callable[[frozenset[str]], None]


def subscription(
    redis: RedisClient, *, subscribed: Subscribed, heard: Heard, lost: Lost
) -> Subscription | ClusterSubscription:
    """What listens on this server or cluster; see :class:`~streaming.subscription.Subscription`."""
    kind = ClusterSubscription if isinstance(redis, Cluster) else Subscription
    return kind(redis, subscribed=subscribed, heard=heard, lost=lost)  # type: ignore[arg-type]


class ClusterSubscription:
    """As :class:`~streaming.subscription.Subscription`, on as many nodes as it takes."""

    def __init__(
        self, cluster: Cluster, *, subscribed: Subscribed, heard: Heard, lost: Lost
    ) -> None:
        self._cluster = cluster
        self._subscribed = subscribed
        self._heard = heard
        self._lost = lost
        self._homes: dict[str, Address | None] = {}
        """Where each channel is listened to; None where it has no place yet."""
        self._confirmed: set[str] = set()
        """Channels that are heard, as far as is known."""
        self._listeners: dict[Address, _Listener] = {}
        self._doubt = asyncio.Event()
        """Something speaks against the map of slots, or a channel has no place."""
        self._tasks: asyncio.TaskGroup | None = None

    def listens_to(self, channel: str) -> bool:
        """Whether a channel was added; it may not be heard yet."""
        return channel in self._homes

    async def add(self, channel: str) -> None:
        """Listen to another channel."""
        self._homes.setdefault(channel, None)
        await self._place(channel)

    async def remove(self, channel: str) -> None:
        """Stop listening to a channel."""
        self._confirmed.discard(channel)
        await self._leave(channel, self._homes.pop(channel, None))

    def reset(self, channel: str) -> None:
        """Begin anew with whatever connection a channel has: it hears nothing."""
        listener = self._listeners.get(self._homes.get(channel) or Address("", 0))
        if listener is not None:
            listener.subscription.reset(channel)
        self._doubt.set()

    async def run(self) -> None:
        """Listen until cancelled, wherever the channels are."""
        self._cluster.watchers.add(self._doubt.set)
        try:
            async with asyncio.TaskGroup() as self._tasks:
                await self._follow()
        finally:
            self._tasks = None
            self._cluster.watchers.discard(self._doubt.set)

    async def _follow(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            self._doubt.clear()
            for channel in tuple(self._homes):
                await self._place(channel)
            self._retire()
            if self._confirmed >= self._homes.keys():
                pause_s = FIRST_PAUSE_S
                await self._doubted_within(RECHECK_S)
            else:
                await asyncio.sleep(pause_s)
                pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)
            await self._ask()

    async def _doubted_within(self, limit_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._doubt.wait()

    async def _ask(self) -> None:
        try:
            await self._cluster.refresh()
        except (RedisError, OSError) as error:
            log.warning("cluster not reached", error=str(error))

    # --- where channels are

    async def _place(self, channel: str) -> None:
        """Have a channel listened to by the node that owns it now."""
        tasks = self._tasks
        if tasks is None or channel not in self._homes:
            return
        home, owner = self._homes[channel], self._cluster.owner(channel)
        if owner is None:
            self._doubt.set()
        if owner == home:
            return
        self._homes[channel] = owner
        if channel in self._confirmed:
            self._unheard({channel})
        if owner is not None:
            if owner not in self._listeners:
                self._listeners[owner] = self._listen(owner, tasks)
            await self._listeners[owner].subscription.add(channel)
        await self._leave(channel, home)

    async def _leave(self, channel: str, home: Address | None) -> None:
        listener = None if home is None else self._listeners.get(home)
        if listener is not None and self._homes.get(channel) != home:
            await listener.subscription.remove(channel)

    def _retire(self) -> None:
        """Drop the connections that nothing is listened to on."""
        for node in self._listeners.keys() - set(self._homes.values()):
            self._listeners.pop(node).task.cancel()

    def _unheard(self, channels: Set[str]) -> None:
        self._confirmed -= channels
        self._lost(frozenset(channels))

    def _listen(self, node: Address, tasks: asyncio.TaskGroup) -> _Listener:
        def here(channels: Set[str]) -> set[str]:
            return {each for each in channels if self._homes.get(each) == node}

        def subscribed(channel: str) -> None:
            if here({channel}):
                self._confirmed.add(channel)
                self._subscribed(channel)

        def heard(channel: str, message: bytes) -> None:
            if channel in self._homes:
                self._heard(channel, message)

        def lost(channels: frozenset[str]) -> None:
            self._doubt.set()
            self._unheard(here(channels))

        def moved(channels: frozenset[str]) -> None:
            gone = here(channels)
            lost(channels)
            self._homes.update(dict.fromkeys(gone))

        own = Subscription(
            self._cluster.node(node), subscribed=subscribed, heard=heard, lost=lost, moved=moved
        )
        return _Listener(own, tasks.create_task(own.run(), name=f"listen {node}"))


class _Listener:
    """The connection to one node, and the task that keeps it."""

    __slots__ = ("subscription", "task")

    def __init__(self, subscription: Subscription, task: asyncio.Task[None]) -> None:
        self.subscription = subscription
        self.task = task
