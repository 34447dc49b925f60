"""Two gateways on one port, restarted one after the other while changes flow.

Measures staleness: from a change's acceptance to its arrival at each SDK, whatever that SDK was
doing, between two connections included; of a crowd of ten thousand and of 20 real SDKs. And whether
any of them was refused for good, or needed a snapshot again.

Goals: nobody stale for more than a second, nobody refused, every change at everybody. The API and
the projector are a process of their own, which is not restarted. A gateway is stopped by SIGTERM,
drains for ten seconds, ends, and is started again before it is the other one's turn.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from benchmarks.stream.crowd import troubles
from benchmarks.stream.generator import Crowd, crowd
from benchmarks.stream.goals import Goals, run
from benchmarks.stream.project import Changer, flag_key, instants
from benchmarks.stream.sdks import Sdks, reached_s, real_sdks
from benchmarks.stream.stage import Server, Stage, stream_stage
from tests.support.program import free_port

CONNECTIONS = 10_000
SDKS = 20
FLAGS = 300
PER_S = 4.0
BEFORE_S = AFTER_S = 5.0
STALE_S = 1.0


@contextlib.asynccontextmanager
async def gateways(stage: Stage) -> AsyncIterator[tuple[Server, Server]]:
    """Two gateways that share a port."""
    port = free_port()
    arguments = ("--roles", "gateway", "--reuse-port")
    one = stage.process("gateway-1", *arguments, port=port, drain_s=10)
    other = stage.process("gateway-2", *arguments, port=port, drain_s=10)
    async with one, other:
        await one.answers()
        yield one, other


async def restarts(goals: Goals, both: tuple[Server, Server]) -> None:
    """One after the other."""
    await asyncio.sleep(BEFORE_S)
    for place, gateway in enumerate(both, 1):
        code = await gateway.stop()
        await gateway.start()
        goals.exactly(f"gateway {place}: exit status", code, 0)
        await asyncio.sleep(AFTER_S)


async def changing(changer: Changer, until: asyncio.Task[None]) -> None:
    """Change flags at an even pace while something else goes on."""
    while not until.done():
        await changer.keep_on(int(PER_S), PER_S)
    await until


async def judge(goals: Goals, clients: Crowd, sdks: Sdks, changer: Changer) -> None:
    """What came of it."""
    await clients.at(changer.last_seq, 10)
    await asyncio.sleep(1)
    latency = await clients.latencies(instants(changer.made))
    status = await clients.status()
    goals.exactly("changes that did not arrive", latency["missing"], 0)
    goals.at_most("longest staleness of the crowd", latency["max_ms"] / 1e3, STALE_S, "s")
    goals.note(
        f"{latency['changes']} changes: p50 {latency['p50_ms']} ms, p99 {latency['p99_ms']} ms, "
        f"p99.9 {latency['p999_ms']} ms"
    )
    reports = await sdks.report()
    worst_s = max(
        reached_s(report["told"], change) for report in reports for change in changer.made
    )
    goals.at_most("longest staleness of a real SDK", worst_s, STALE_S, "s")
    goals.exactly("states of the real SDKs", {each["state"] for each in reports}, {"READY"})
    goals.exactly("refused for good", status["given_up"], 0)
    goals.exactly("synchronised in the end", status["synchronised"], clients.size)
    goals.exactly("snapshots", status["messages"]["snapshot"], 0)
    goals.note(f"{status['messages']['goodbye']:,} goodbyes; {troubles(status)}")


async def measure(goals: Goals, connections: int) -> None:
    """Both restarts under load."""
    async with stream_stage(FLAGS, roles="api,projector") as stage, gateways(stage) as both:
        async with crowd(both[0].port) as clients, real_sdks(both[0].url, stage.key, SDKS) as sdks:
            await clients.add(connections, stage.key, deflate=True, over_s=5)
            await sdks.ready()
            status = await clients.synchronised(60)
            goals.exactly("synchronised to begin with", status["synchronised"], connections)
            await clients.mark()
            await clients.order("watch")
            async with stage.api() as http:
                changer = Changer(http, [flag_key(number) for number in range(FLAGS)])
                await changing(changer, asyncio.create_task(restarts(goals, both)))
            await judge(goals, clients, sdks, changer)


if __name__ == "__main__":
    run(measure, CONNECTIONS)
