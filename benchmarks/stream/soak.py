"""Ten minutes of everything that goes wrong: does every SDK end with what the log says?

The roles run as processes of their own: one api, one projector, three gateways, on embedded
servers. SDKs reach the gateways through proxies that delay, cut, dribble and go deaf, and come and
go; other peers vanish without a word; callers change flags all the while. In turn, each role is
killed with kill -9, a gateway is drained and one is stopped for a while, Redis is emptied and
killed, keys are revoked. Then all of it ends, and within a minute every SDK must be READY and hold,
byte by byte, what a fresh fold of the log gives; SDKs of revoked keys must have been told so.

The third gateway is never killed: it must not have grown, and once everybody has left it must hold
no more descriptors and tasks than before anybody came.

Does not measure speed. With fewer SDKs than :data:`SDKS` it lasts a minute, to try it out.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import redis.asyncio
from halyard_sdk.status import State

from benchmarks.database_stage import database_stage
from benchmarks.stream.faults import Fate, FaultProxy, Vanished
from benchmarks.stream.goals import Goals, run
from benchmarks.stream.soak_parties import (
    API,
    ENVIRONMENT,
    Caller,
    Crowd,
    Footprint,
    all_stopped,
    digest_of_log,
    footprint,
)
from eventstore.pool import create_pool
from eventstore.store import EventStore
from server.embedded.supervisor import EmbeddedServers
from tests.support.program import HalyardProcess

SECONDS, BRIEFLY_S = 600, 60
SEED = 1
SDKS = 120
CALLERS = 4
PAUSE_S = 0.4
"""Of each caller: about ten changes a second in all."""
BETWEEN_FAULTS_S = 7.0
VANISHING = 5
"""Peers that vanish after each fault."""
CONVERGED_WITHIN_S = 60.0
POLL_S = 0.2
MORE_TASKS = 2
MAY_GROW_MB = 30.0
MORE_DESCRIPTORS = 8
"""Connections to PostgreSQL and Redis that a pool has opened since."""
TOKEN = "hly_token_of_the_soak"


@dataclass
class Soak:
    """Everybody who takes part."""

    servers: EmbeddedServers
    api: HalyardProcess
    projector: HalyardProcess
    gateways: tuple[HalyardProcess, ...]
    proxies: tuple[FaultProxy, ...]
    crowd: Crowd
    vanished: Vanished
    key: str
    chance: random.Random
    faults: Counter[str] = field(default_factory=Counter)
    untold: int = 0
    """SDKs that were not told in time that their key was revoked."""

    @property
    def steady(self) -> HalyardProcess:
        """The gateway that is never killed."""
        return self.gateways[-1]

    def http(self) -> httpx.AsyncClient:
        """The API, as the administrator."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return httpx.AsyncClient(base_url=self.api.url, headers=headers, timeout=30)

    # --- what goes wrong

    def turns(self) -> tuple[tuple[str, Callable[[], Awaitable[None]]], ...]:
        """The faults, in the order in which they come."""
        first, second, _ = self.gateways
        return (
            ("kill -9 of a gateway", lambda: _killed(first)),
            ("FLUSHALL", self._flush),
            ("kill -9 of the projector", lambda: _killed(self.projector)),
            ("a key is revoked", self._revoke),
            ("kill -9 of the api", lambda: _killed(self.api)),
            ("a gateway is drained", lambda: _drained(second)),
            ("kill -9 of Redis", self._kill_redis),
            ("a gateway stands still for 5 s", lambda: _frozen(first)),
            ("SDKs come and go", lambda: self.crowd.churn(self.key, len(self.crowd.clients) // 6)),
            ("kill -9 of another gateway", lambda: _killed(second)),
        )

    async def _flush(self) -> None:
        async with redis.asyncio.from_url(self.servers.redis_url) as client:
            await client.flushall()

    async def _kill_redis(self) -> None:
        pid = self.servers.valkey.pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)

    async def _revoke(self) -> None:
        path = f"{API}/environments/{ENVIRONMENT}/keys"
        async with self.http() as http:
            issued = (await http.post(path, json={"kind": "server"})).raise_for_status().json()
            clients = await self.crowd.join(issued["secret"], 5)
            await asyncio.gather(*(client.wait_ready(30) for client in clients))
            (await http.delete(f"{path}/{issued['id']}")).raise_for_status()
        # Some stand behind a proxy that lets nothing through; they find out when they come back.
        if not await all_stopped(clients, within_s=90):
            self.untold += len(clients)
        self.crowd.forget(clients)
        await asyncio.gather(*(client.close() for client in clients))

    async def disturb(self, seconds: float) -> None:
        """One fault after the other, for so long."""
        ends_s = time.monotonic() + seconds
        revoking: list[asyncio.Task[None]] = []
        for name, fault in itertools.cycle(self.turns()):
            if time.monotonic() > ends_s:
                break
            self.faults[name] += 1
            print(f"{ends_s - time.monotonic():5.0f} s left: {name}", flush=True)
            if name == "a key is revoked":
                revoking.append(asyncio.ensure_future(fault()))
            else:
                await fault()
            await self.vanished.add(VANISHING)
            await asyncio.sleep(BETWEEN_FAULTS_S)
        await asyncio.gather(*revoking)


async def _killed(process: HalyardProcess) -> None:
    await process.kill()
    await process.start()


async def _drained(process: HalyardProcess) -> None:
    await process.stop()
    await process.start()


async def _frozen(process: HalyardProcess) -> None:
    os.kill(process.pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(5)
    finally:
        os.kill(process.pid, signal.SIGCONT)


# --- putting it together


@contextlib.asynccontextmanager
async def _stage(seed: int) -> AsyncIterator[Soak]:
    chance = random.Random(seed)
    async with contextlib.AsyncExitStack() as stack:
        servers = await stack.enter_async_context(database_stage())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))

        async def started(name: str, role: str) -> HalyardProcess:
            process = HalyardProcess(
                "serve", log=folder / f"{name}.log", env=_settings(servers, role)
            )
            return await stack.enter_async_context(process)

        api = await started("api", "api")
        projector = await started("projector", "projector")
        key = await _prepare(api.url)
        gateways = [await started(f"gateway-{n}", "gateway") for n in range(3)]
        proxies = [
            await stack.enter_async_context(FaultProxy(gateway.port, chance))
            for gateway in gateways
        ]
        urls = tuple(f"http://127.0.0.1:{proxy.port}" for proxy in proxies)
        yield Soak(
            servers, api, projector, tuple(gateways), tuple(proxies), Crowd(urls, chance),
            Vanished(gateways[-1].port, key), key, chance,
        )  # fmt: skip


def _settings(servers: EmbeddedServers, role: str) -> dict[str, str]:
    return {
        "HALYARD_ROLES": role,
        "HALYARD_DATABASE_URL": servers.database_url,
        "HALYARD_REDIS_URL": servers.redis_url,
        "HALYARD_ADMIN_EMAIL": "soak@example.org",
        "HALYARD_ADMIN_PASSWORD": "a password of some length",
        "HALYARD_ADMIN_TOKEN": TOKEN,
        "HALYARD_LOG_LEVEL": "warning",
        "HALYARD_DRAIN_SECONDS": "2",
        "HALYARD_HEARTBEAT_SECONDS": "5",
    }


async def _prepare(url: str) -> str:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as http:
        made = await http.post("/api/v1/projects", json={"key": "soak", "name": "Soak"})
        made.raise_for_status()
        commands = [{"type": "CreateFlag", "flag": f"flag-{number}"} for number in range(250)]
        made = await http.post(f"{API}/commands:batch", json={"commands": commands})
        made.raise_for_status()
        path = f"{API}/environments/{ENVIRONMENT}/keys"
        issued = (await http.post(path, json={"kind": "server"})).raise_for_status()
        return str(issued.json()["secret"])


# --- the run, and what came of it


async def _converged(goals: Goals, soak: Soak, store: EventStore) -> None:
    """Wait until every SDK has what the log gives, or the time is over."""
    wanted, head = await digest_of_log(store)
    began_s = time.monotonic()
    everybody = ({wanted: soak.crowd.size}, {State.READY.value: soak.crowd.size})
    while (found := (soak.crowd.digests(), soak.crowd.states())) != everybody:
        if time.monotonic() > began_s + CONVERGED_WITHIN_S:
            break
        await asyncio.sleep(POLL_S)
    goals.exactly(f"digests, of the fold of the log at {head:,}", dict(found[0]), everybody[0])
    goals.exactly("states", dict(found[1]), everybody[1])
    goals.note(f"{time.monotonic() - began_s:.1f} s after the last fault")


async def measure(goals: Goals, sdks: int) -> None:
    """The soak, and what came of it."""
    logging.getLogger("halyard_sdk").setLevel(logging.CRITICAL)  # of losses there are many
    seconds = SECONDS if sdks >= SDKS else BRIEFLY_S
    async with _stage(SEED) as soak, create_pool(soak.servers.database_url) as pool:
        steady = soak.steady
        before = await footprint(steady.pid, steady.url)
        await soak.crowd.join(soak.key, sdks)
        done = asyncio.Event()
        callers = [Caller(soak.api.url, TOKEN, n, soak.chance) for n in range(CALLERS)]
        async with asyncio.TaskGroup() as tasks:
            for caller in callers:
                tasks.create_task(caller.work(done, PAUSE_S))
            await soak.disturb(seconds / 4)
            warm = await footprint(steady.pid, steady.url)
            await soak.disturb(seconds * 3 / 4)
            done.set()
        await _converged(goals, soak, EventStore(pool))
        late = await footprint(steady.pid, steady.url)
        await soak.crowd.close()
        after = await _left(soak, steady, before)
        _report(goals, soak, callers)
        _judge(goals, before, warm, late, after)
        soak.vanished.close()


async def _left(soak: Soak, steady: HalyardProcess, before: Footprint) -> Footprint:
    """The footprint once everybody has gone: those who vanished are cut by their silence."""
    ends_s = time.monotonic() + 60
    while True:
        after = await footprint(steady.pid, steady.url)
        still_there = after.descriptors > before.descriptors + MORE_DESCRIPTORS
        if not (still_there or soak.vanished.left) or time.monotonic() > ends_s:
            return after
        await asyncio.sleep(POLL_S)


def _report(goals: Goals, soak: Soak, callers: list[Caller]) -> None:
    answers = sum((caller.answers for caller in callers), Counter[int]())
    fates = sum((proxy.fates for proxy in soak.proxies), Counter[Fate]())
    goals.note(f"faults: {dict(soak.faults)}")
    goals.note(f"connections through the proxies: {dict(fates)}")
    goals.note(f"commands by status: {dict(answers)}; SDKs that joined: {soak.crowd.joined}")
    goals.exactly("SDKs not told of their revoked key", soak.untold, 0)
    goals.exactly("peers that vanished, and were cut", soak.vanished.cut, soak.vanished.added)


def _judge(
    goals: Goals, before: Footprint, warm: Footprint, late: Footprint, after: Footprint
) -> None:
    """Whether the gateway that was never killed has kept anything."""
    goals.at_most("memory grew by", late.resident_mb - warm.resident_mb, MAY_GROW_MB, "MB")
    goals.note(f"resident: {before} before, {warm} after a quarter, {late} in the end")
    goals.at_most(
        "descriptors when all had left",
        after.descriptors,
        before.descriptors + MORE_DESCRIPTORS,
        "",
    )
    if before.tasks is not None and after.tasks is not None:
        goals.at_most("tasks when all had left", after.tasks, before.tasks + MORE_TASKS, "")


if __name__ == "__main__":
    run(measure, SDKS)
