"""One pub/sub connection of this process, for the channels of all environments in use.

Sharded channels (SSUBSCRIBE). Every confirmation of a subscription is reported, the first one and
those after a reconnect alike: from then on nothing is missed, so that is the moment to read.

A connection that fails is made anew here, after a pause, not by the driver's own retries: those
would hide that messages were missed.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

log = structlog.get_logger("halyard.stream")

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 2.0


class Subscription:
    """Listens to channels that come and go.

    Args:
        subscribed: a channel is being heard from now on.
        heard: a message of a channel.
        lost: the connection failed; every channel will be reported as subscribed again.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        subscribed: Callable[[str], None],
        heard: Callable[[str, bytes], None],
        lost: Callable[[], None],
    ) -> None:
        self._redis = redis
        self._subscribed = subscribed
        self._heard = heard
        self._lost = lost
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

    def reset(self) -> None:
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
            self._lost()
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
                await pubsub.ssubscribe(*self._channels)
                while True:
                    self._dispatch(await pubsub.get_message(timeout=None))
            finally:
                self._pubsub = self._patience = None
                connection.retry = retry  # it goes back to the pool, where others use it

    def _dispatch(self, message: dict[str, bytes | str] | None) -> None:
        match message:
            case {"type": "smessage", "channel": bytes(channel), "data": bytes(data)}:
                self._heard(channel.decode(), data)
            case {"type": "ssubscribe", "channel": bytes(channel)}:
                self._subscribed(channel.decode())
            case _:
                pass  # the end of a subscription, or the driver's own ping


async def _attempt(command: Awaitable[object]) -> None:
    """Whatever is wrong with the connection, the listening side finds out as well."""
    with suppress(RedisError, OSError):
        await command
