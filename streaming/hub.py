"""The environments in use by this process: found by id, loaded lazily, kept current, dropped.

The order that loses nothing: subscribe, read once that is confirmed, merge. Then:
    - a delta that does not connect: read what is newer;
    - a subscription made anew: read what is newer, of every environment that it had lost;
    - silence: compare with Redis, twice before acting on a difference, and send a probe through
      pub/sub itself, because after a failover a subscription can look healthy and be deaf;
    - Redis does not answer: serve on, say so in heartbeats (``stale``), try again.

A key, or a whole environment, that Redis does not know is refused for good only where
``is_current``: a ruleset may be behind the log, or just being rebuilt. It is asked before Redis is
read again, so that what was in the log by then is in what is read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import assert_never

import structlog
from halyard_protocol.session import feed

from projections.rulesets import (
    Delta,
    MalformedPublication,
    Probe,
    Rulesets,
    StoredRuleset,
    Swap,
    decode_published,
    encode_probe,
)
from projections.script import RedisClient
from streaming.admission import Admission
from streaming.caller import Caller
from streaming.cluster_subscription import subscription
from streaming.connection import Connection
from streaming.counters import Counters
from streaming.environment import Environment, Need
from streaming.lookups import TROUBLE, Lookups
from streaming.settings import StreamSettings
from streaming.watch import Watch

REST_S = 0.25
"""From one judgement of keys that an environment does not have to the next: each asks a database,
and anybody may make up keys."""

log = structlog.get_logger("halyard.stream")


class Hub:
    """See the module. :meth:`run` must be running for anything to be loaded."""

    def __init__(
        self,
        redis: RedisClient,
        settings: StreamSettings,
        counters: Counters,
        admission: Admission,
        is_current: Callable[[str], Awaitable[bool]],
    ) -> None:
        self.environments: dict[str, Environment] = {}
        self._redis = redis
        self._rulesets = Rulesets(redis)
        self._settings = settings
        self._counters = counters
        self._admission = admission
        self._is_current = is_current
        self._channels: dict[str, Environment] = {}
        self._watches: dict[Environment, Watch] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._lookups = Lookups(self._rulesets, counters, found=self._found, is_current=is_current)
        self._subscription = subscription(
            redis, subscribed=self._subscribed, heard=self._heard, lost=self._lost
        )

    async def run(self) -> None:
        """Listen, watch and read until cancelled."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self._tasks.create_task(self._subscription.run())
                self._tasks.create_task(self._keep_watch())
                self._tasks.create_task(self._lookups.run())
        finally:
            for environment in self.environments.values():
                environment.keys.stop()

    def visit(self, visitor: Connection | Caller, environment_id: str) -> None:
        """A connection, or a request over HTTP, has come with a key of an environment."""
        environment = self.environments.get(environment_id)
        if environment is None:
            self._lookups.ask(environment_id, visitor)
        else:
            environment.visit(visitor)

    def _found(self, environment_id: str, visitor: Connection | Caller) -> None:
        environment = self.environments.get(environment_id) or self._open(environment_id)
        environment.visit(visitor)

    def _open(self, environment_id: str) -> Environment:
        environment = Environment(
            environment_id, self._settings, self._counters, self._admission, self._read
        )
        self.environments[environment_id] = environment
        self._channels[self._rulesets.channel(environment_id)] = environment
        self._watches[environment] = Watch(self._settings, time.monotonic())
        return environment

    async def _drop(self, environment: Environment) -> None:
        """Forget an environment that nobody uses."""
        if self.environments.get(environment.id) is not environment:
            return
        channel = self._rulesets.channel(environment.id)
        del self.environments[environment.id]
        del self._channels[channel]
        del self._watches[environment]
        environment.keys.stop()
        await self._subscription.remove(channel)

    # --- pub/sub

    def _subscribed(self, channel: str) -> None:
        environment = self._channels.get(channel)
        if environment is not None:
            environment.subscribed = True
            environment.want(Need.NEWER if environment.feed.installed else Need.WHOLE)

    def _lost(self, channels: frozenset[str]) -> None:
        self._counters.subscription_losses += 1
        for channel in channels:
            environment = self._channels.get(channel)
            if environment is not None:
                environment.lost()

    def _heard(self, channel: str, data: bytes) -> None:
        environment = self._channels.get(channel)
        if environment is None:
            return
        self._counters.heard_at_s = now_s = time.monotonic()
        self._watches[environment].heard(now_s)
        try:
            published = decode_published(data)
        except MalformedPublication as error:
            self._counters.unreadable += 1
            log.warning("unreadable message", channel=channel, error=str(error))
            environment.want(Need.NEWER)
            return
        match published:
            case Delta():
                environment.hear(
                    _delta(published),
                    self._settings.inbox,
                    committed_us=published.committed_us,
                    sent_us=published.sent_us,
                )
            case Swap():
                environment.hear_swap(published.epoch, published.to, published.seq)
            case Probe():
                pass  # that it was heard is all there is to it
            case _:
                assert_never(published)

    # --- reading

    def _read(self, environment: Environment) -> None:
        if not environment.reading and self._tasks is not None:
            environment.reading = True
            self._tasks.create_task(self._read_all(environment))

    async def _read_all(self, environment: Environment) -> None:
        try:
            while environment.need is not Need.NOTHING:
                await self._read_once(environment)
        finally:
            environment.reading = False
        if not (environment.feed.installed or environment.in_use):
            await self._drop(environment)  # anybody may make up ids

    async def _read_once(self, environment: Environment) -> None:
        need = environment.begin()
        try:
            match need:
                case Need.WHOLE if not (environment.subscribed or environment.feed.installed):
                    await self._find(environment)
                case Need.WHOLE:
                    await self._install(environment)
                case Need.NEWER:
                    await self._extend(environment)
                case Need.COMPARE | Need.NOTHING:
                    await self._compare(environment)
                case _:
                    assert_never(need)
        except TROUBLE as error:
            log.warning("reading failed", environment=environment.id, error=repr(error))
            environment.failed()
        environment.catch_up_with_inbox()
        if environment.doubted or (environment.keys.overdue and not environment.feed.stale):
            await self._settle_doubts(environment)

    async def _settle_doubts(self, environment: Environment) -> None:
        """Redis lacks these keys: find out whether it is Redis that is behind."""
        doubted = environment.take_doubted()
        environment.rest()
        current = await self._is_current(environment.id)
        try:
            await self._extend(environment)
        except TROUBLE as error:
            log.warning("reading failed", environment=environment.id, error=repr(error))
            environment.failed()
        environment.judge(doubted, current=current)
        environment.catch_up_with_inbox()
        asyncio.get_running_loop().call_later(REST_S, environment.look)

    async def _find(self, environment: Environment) -> None:
        """Before anything was read: subscribe, if there is such an environment.

        It is read once the subscription is confirmed, and that answers all who came until then.
        """
        if self._subscription.listens_to(self._rulesets.channel(environment.id)):
            return
        self._counters.reads += 1
        if await self._rulesets.meta(environment.id) is None:
            current = await self._is_current(environment.id)
            if await self._rulesets.meta(environment.id) is None:
                environment.unknown(current=current)
                return
        await self._subscription.add(self._rulesets.channel(environment.id))

    async def _install(self, environment: Environment) -> None:
        self._counters.reads += 1
        stored = await self._rulesets.read(environment.id)
        if stored is None:
            environment.missing()
        else:
            environment.installed(_stored(stored))

    async def _extend(self, environment: Environment) -> None:
        self._counters.reads += 1
        since = environment.feed.changed
        stored = await self._rulesets.read_since(environment.id, since)
        if stored is None:
            environment.missing()
        else:
            environment.extended(_stored(stored), since)

    async def _compare(self, environment: Environment) -> None:
        self._counters.reads += 1
        watch = self._watches.get(environment)
        probe = None if watch is None else watch.probe()
        if probe is not None:
            channel = self._rulesets.channel(environment.id)
            await self._redis.spublish(channel, encode_probe(Probe(probe)))
        meta = await self._rulesets.meta(environment.id)
        if meta is None:
            environment.missing()
        else:
            environment.compared(meta.wire_epoch, meta.changed, meta.seq)

    # --- time

    async def _keep_watch(self) -> None:
        while True:
            await asyncio.sleep(self._settings.watch_s)
            now_s = time.monotonic()
            for environment, watch in tuple(self._watches.items()):
                await self._look_after(environment, watch, now_s)

    async def _look_after(self, environment: Environment, watch: Watch, now_s: float) -> None:
        if watch.unused(now_s, in_use=environment.in_use, asked=environment.take_asked()):
            await self._drop(environment)
        elif not environment.feed.installed:
            self._give_up(environment, watch, now_s)
        elif watch.deaf(now_s):
            self._counters.deaf += 1
            self._subscription.reset(self._rulesets.channel(environment.id))
        elif environment.uneasy or watch.silent(now_s):
            environment.want(Need.COMPARE)

    def _give_up(self, environment: Environment, watch: Watch, now_s: float) -> None:
        """Let nobody wait for ever for an environment that does not come."""
        if not environment.reading and now_s - watch.opened_s > self._settings.loading_s:
            environment.failed()


def _stored(read: StoredRuleset) -> feed.Stored:
    meta = read.meta
    return feed.Stored(meta.wire_epoch, meta.changed, meta.seq, meta.horizon, read.documents)


def _delta(published: Delta) -> feed.Delta:
    return feed.Delta(
        published.epoch, published.since, published.to, published.seq, published.documents
    )
