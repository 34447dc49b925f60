"""The whole line under load, on any Redis: a log that grows, a projector, a gateway, SDKs."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Set
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec

from domain import commands as c
from eventstore.store import EventStore
from projections.rulesets import Rulesets
from projections.runner import Projector
from projections.script import RedisClient
from streaming.settings import StreamSettings
from tests.streaming.stage import QUICK, Client, Stage, stage, until
from tests.support.projecting import StoredLog, assert_exact, stored_log

ENVIRONMENTS = ("development", "production", "staging", "canary", "preview", "rehearsal")
"""None of them is ever deleted by a command drawn at random."""
SPREAD_LOG = "project-1"
"""The ids of its environments lie in slots of every third of a cluster."""
UNHURRIED = msgspec.structs.replace(QUICK, silence_s=1.0, probe_s=2.0)
"""A busy machine is not taken for a deaf subscription."""
TRUSTING = msgspec.structs.replace(QUICK, silence_s=60)
"""What is not found out by the subscription is not found out at all."""


class Sdk:
    """A client of one environment that listens all the time, and must never be sent away."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._moved = asyncio.Event()

        self.epochs = [client.epoch]
        """Each wire epoch that it was in, in order."""

    async def listen(self) -> None:
        """Take in whatever comes; ends with an error where the connection does."""
        while True:
            before = self.client.seq
            await self.client.next(60)
            if self.client.epoch != self.epochs[-1]:
                self.epochs.append(self.client.epoch)
            else:
                assert self.client.seq >= before, "it went back"
            self._moved.set()

    @property
    def stale(self) -> bool:
        """Whether any heartbeat ever said so."""
        return any(getattr(message, "stale", False) for message in self.client.heard)

    async def reach(self, seq: int, within_s: float = 20) -> None:
        """Wait until a heartbeat or a change has brought it there."""
        try:
            async with asyncio.timeout(within_s):
                while self.client.seq < seq:
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            raise AssertionError(f"at {self.client.seq}, not at {seq}") from None


class Line:
    """Everything of it, running."""

    def __init__(self, redis: RedisClient, log: StoredLog, running: Stage) -> None:
        self.redis = redis
        self.log = log
        self.stage = running
        self.sdks: dict[str, Sdk] = {}
        """By environment id."""
        self._draw = random.Random(11)

    async def change(self, deltas: int) -> int:
        """So many deltas, one after the other; answers the log's end."""
        for _ in range(deltas):
            self.log.log.do_any(self._draw, self._draw.choice((1, 2)))
            await self.log.store_new()
        return len(self.log.log.events)

    async def touch_all(self) -> int:
        """A delta that changes a document of every environment."""
        return await self.log.do(c.CreateFlag(f"flag-{len(self.log.log.events)}"))

    async def change_while(self, work: asyncio.Future[None]) -> None:
        """Change things until something else is done."""
        while not work.done():
            await self.change(1)
            await asyncio.sleep(0.002)  # a rate that all can follow on a busy machine
        await work

    async def assert_converged(self) -> None:
        """Every ruleset is the fold of the log, every SDK has it, and news come by pub/sub."""
        await self._all_reach(await self.touch_all())
        hub, counters = self.stage.gateway.hub, self.stage.gateway.counters
        await until(lambda: all(each.subscribed for each in hub.environments.values()))
        heard = counters.deltas
        await self._all_reach(await self.touch_all())
        assert counters.deltas >= heard + len(self.sdks)
        await assert_exact(self.log.store, self.redis, self.log.log_id)
        rulesets = Rulesets(self.redis)
        for env, sdk in self.sdks.items():
            stored = await rulesets.read(env)
            assert stored is not None
            found = [
                msgspec.json.decode(body)
                for name, body in stored.documents.items()
                if name.startswith("flag:")
            ]
            alive = {each["key"]: each["version"] for each in found if not each.get("deleted")}
            assert sdk.client.flags == alive

    async def others_reach(self, seq: int, concerned: Set[str]) -> None:
        """Those environments get there that trouble does not concern."""
        for env in self.sdks.keys() - concerned:
            await self.sdks[env].reach(seq)

    async def _all_reach(self, seq: int) -> None:
        async with asyncio.TaskGroup() as tasks:
            for sdk in self.sdks.values():
                tasks.create_task(sdk.reach(seq))


@asynccontextmanager
async def line(
    store: EventStore, redis: RedisClient, settings: StreamSettings = UNHURRIED
) -> AsyncIterator[Line]:
    """A project with an SDK on each of its environments, all synchronised."""
    log = await stored_log(store, SPREAD_LOG)
    await log.do(*(c.CreateEnvironment(each) for each in ENVIRONMENTS[2:]))
    await log.do(
        *(
            c.IssueSdkKey(each, key=each, sha256=hashlib.sha256(_key(log, each)).hexdigest())
            for each in ENVIRONMENTS
        )
    )
    projector = Projector(store, redis)
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(projector.run())]
        staged = await stack.enter_async_context(stage(redis, settings))
        made = Line(redis, log, staged)
        await _wait_for_rulesets(made)
        for each in ENVIRONMENTS:
            client = await stack.enter_async_context(staged.client(_key(log, each).decode()))
            await client.synchronise()
            sdk = made.sdks[log.env(each)] = Sdk(client)
            running.append(tasks.create_task(sdk.listen()))
        yield made
        for task in running:
            task.cancel()


def _key(log: StoredLog, environment: str) -> bytes:
    return f"{log.env(environment)}-s-secret".encode()


async def _wait_for_rulesets(made: Line) -> None:
    rulesets = Rulesets(made.redis)
    async with asyncio.timeout(20):
        for env in made.log.log.environments.values():
            while (meta := await rulesets.meta(env)) is None or meta.seq < len(made.log.log.events):
                await asyncio.sleep(0.01)
