"""One pub/sub connection to one server, for the channels of all environments in use.

Sharded channels (SSUBSCRIBE). Every confirmation of a subscription is reported, the first one and
those after a reconnect alike: from then on nothing is missed, so that is the moment to read.

A connection that fails is made anew here, after a pause, not by the driver's own retries: those
would hide that messages were missed.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Set
from contextlib import aclosing, suppress
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import MovedError, RedisError

from projections.cluster import slot_of

log = structlog.get_logger("halyard.stream")

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 2.0


class Subscription:
    """Listens to channels that come and go.

    Args:
        subscribed: a channel is being heard from now on.
        heard: a message of a channel.
        lost: the connection failed, so that nothing is heard of these channels; each will be
            reported as subscribed again.
        moved: for a node of a cluster: it does not own these channels (any more), and they were
            forgotten here.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        subscribed: Callable[[str], None],
        heard: Callable[[str, bytes], None],
        lost: Callable[[frozenset[str]], None],
        moved: Callable[[frozenset[str]], None] | None = None,
    ) -> None:
        self._redis = redis
        self._subscribed = subscribed
        self._heard = heard
        self._lost = lost
        self._moved = moved
        self._channels: set[str] = set()
        self._wanted = asyncio.Event()
        """Set once there was a channel: before, there is nothing to connect for."""
        self._pubsub: PubSub | None = None
        """None while there is no connection; then :meth:`run` subscribes to all channels."""
        self._patience: asyncio.Timeout | None = None

    def listens_to(self, channel: str) -> bool:
        """Whether a channel was added; it may not be heard yet."""
        return channel in self._channels

    async def add(self, channel: str) -> None:
        """Listen to another channel."""
        self._channels.add(channel)
        self._wanted.set()
        if self._pubsub is not None:
            await _attempt(self._pubsub.ssubscribe(channel))

    async def remove(self, channel: str) -> None:
        """Stop listening to a channel."""
        self._channels.discard(channel)
        if self._pubsub is not None:
            await _attempt(self._pubsub.sunsubscribe(channel))

    def reset(self, channel: str) -> None:  # noqa: ARG002 - on a cluster it says which connection
        """Begin anew on another connection: this one looks healthy and hears nothing."""
        if self._patience is not None:
            self._patience.reschedule(0)

    async def run(self) -> None:
        """Listen until cancelled, on one connection after the other."""
        await self._wanted.wait()
        pause_s = FIRST_PAUSE_S
        while True:
            began_s = asyncio.get_running_loop().time()
            try:
                await self._listen()
            except (RedisError, OSError) as error:
                log.warning("subscription lost", error=str(error))
            self._lost(frozenset(self._channels))
            lasted_s = asyncio.get_running_loop().time() - began_s
            pause_s = FIRST_PAUSE_S if lasted_s > 1 else min(LONGEST_PAUSE_S, 2 * pause_s)
            await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311

    async def _listen(self) -> None:
        async with aclosing(self._redis.pubsub()) as pubsub, asyncio.timeout(None) as patience:
            await pubsub.connect()  # type: ignore[no-untyped-call]
            connection: Any = pubsub.connection
            retry, connection.retry = connection.retry, Retry(NoBackoff(), 0)
            self._pubsub, self._patience = pubsub, patience
            try:
                for channels in self._commands():
                    await pubsub.ssubscribe(*channels)
                while True:
                    await self._hear(pubsub)
            finally:
                self._pubsub = self._patience = None
                connection.retry = retry  # it goes back to the pool, where others use it

    def _commands(self) -> Iterable[Iterable[str]]:
        """The channels of one command each: all, or on a cluster those of one slot."""
        if self._moved is None:
            return (tuple(self._channels),) if self._channels else ()
        by_slot: dict[int, list[str]] = {}
        for channel in self._channels:
            by_slot.setdefault(slot_of(channel), []).append(channel)
        return by_slot.values()

    async def _hear(self, pubsub: PubSub) -> None:
        try:
            message = await pubsub.get_message(timeout=None)
        except MovedError as error:
            # The answer to a subscription; the connection is good for other slots.
            if self._moved is None:
                raise
            self._forget({each for each in self._channels if slot_of(each) == error.slot_id})
        else:
            self._dispatch(message)

    def _dispatch(self, message: dict[str, bytes | str] | None) -> None:
        match message:
            case {"type": "smessage", "channel": bytes(channel), "data": bytes(data)}:
                self._heard(channel.decode(), data)
            case {"type": "ssubscribe", "channel": bytes(channel)}:
                self._subscribed(channel.decode())
            case {"type": "sunsubscribe", "channel": bytes(channel)}:
                # Where nobody asked for it: a node that gives a slot away ends what it cannot keep.
                self._forget({channel.decode()} & self._channels)
            case _:
                pass  # the driver's own ping

    def _forget(self, channels: Set[str]) -> None:
        if channels and self._moved is not None:
            self._channels -= channels
            self._moved(frozenset(channels))


async def _attempt(command: Awaitable[object]) -> None:
    """Whatever is wrong with the connection, the listening side finds out as well."""
    with suppress(RedisError, OSError):
        await command
