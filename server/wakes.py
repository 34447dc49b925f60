"""Word that a log has grown: sent after each commit, heard by every process.

Within the process it is a function call; to others it goes through one sharded channel of Redis. It
carries no events and may be lost: the poll over all heads is the net beneath it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import structlog
from redis.exceptions import RedisError

from projections.script import RedisClient
from streaming.cluster_subscription import subscription

WAKE_CHANNEL = "halyard:wake"

Heard = Callable[[str, int], None]
"""Called with a log and the seq that it has reached; must not block."""

log = structlog.get_logger(__name__)


class Wake(msgspec.Struct, frozen=True):
    """The message on the channel."""

    log: str
    seq: int


_decoder = msgspec.json.Decoder(Wake)


class Wakes:
    """Sends and hears wake-ups. ``heard`` are told of this process's own commits as well."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis
        self._heard: list[Heard] = []
        self._unsent: dict[str, int] = {}
        self._has_unsent = asyncio.Event()
        self._subscription = subscription(
            redis, subscribed=lambda _channel: None, heard=self._receive, lost=lambda _lost: None
        )

    def tell(self, heard: Heard) -> None:
        """Also call ``heard`` from now on."""
        self._heard.append(heard)

    def published(self, log_id: str, seq: int) -> None:
        """This process has committed: tell everybody. Never blocks, never fails."""
        self._dispatch(log_id, seq)
        self._unsent[log_id] = seq
        self._has_unsent.set()

    def _receive(self, _channel: str, message: bytes) -> None:
        try:
            wake = _decoder.decode(message)
        except msgspec.DecodeError:
            log.warning("wake_not_understood", message=message[:200])
        else:
            self._dispatch(wake.log, wake.seq)

    def _dispatch(self, log_id: str, seq: int) -> None:
        for heard in self._heard:
            heard(log_id, seq)

    async def run(self) -> None:
        """Send and listen until cancelled, whatever becomes of Redis."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._subscription.run())
            await self._subscription.add(WAKE_CHANNEL)
            await self._send()

    async def _send(self) -> None:
        while True:
            await self._has_unsent.wait()
            self._has_unsent.clear()
            unsent, self._unsent = self._unsent, {}
            try:
                for log_id, seq in unsent.items():
                    wake = msgspec.json.encode(Wake(log_id, seq))
                    await self._redis.spublish(WAKE_CHANNEL, wake)
            except (RedisError, OSError) as error:
                # The others find out by their poll; sending late would help nobody.
                log.warning("wake_not_sent", error=str(error))
