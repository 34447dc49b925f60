"""Redis hangs, dies, loses everything, or is cut off: streams go on, and it all mends by itself."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import cast

import msgspec
import pytest
import redis.asyncio
from halyard_protocol.messages import Heartbeat, Resume, Snapshot

from server.redis_client import PatientRedis, connect_redis
from tests.streaming.stage import QUICK, Client, Stage, stage, until
from tests.streaming.writing import ENV, OTHER_KEY, Ruleset
from tests.support.fault_proxy import FaultProxy
from tests.support.valkey_process import ValkeyProcess, free_ports

pytestmark = pytest.mark.adversity

PROBED = msgspec.structs.replace(QUICK, probe_s=0.3)


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[ValkeyProcess]:
    process = ValkeyProcess(tmp_path / "valkey", free_ports(1)[0])
    process.start()
    yield process
    process.end()


@pytest.fixture
async def ruleset(valkey: ValkeyProcess) -> AsyncIterator[Ruleset]:
    """Written past the proxy."""
    async with redis.asyncio.Redis(port=valkey.port) as client:
        yield await Ruleset(client).create("a", "b", "c")


@pytest.fixture
async def proxy(valkey: ValkeyProcess) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(valkey.port) as proxy:
        yield proxy


@pytest.fixture
async def running(
    proxy: FaultProxy, ruleset: Ruleset, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    """A gateway behind the proxy, which waits for an answer no longer than a moment."""
    monkeypatch.setattr(PatientRedis, "limit_s", 0.5)
    async with connect_redis(f"redis://127.0.0.1:{proxy.port}") as client:
        async with stage(cast("redis.asyncio.Redis", client), PROBED) as running:
            yield running


async def heartbeat(client: Client, *, stale: bool) -> None:
    while (await client.next_of(Heartbeat)).stale is not stale:
        pass


async def is_served_from_memory(running: Stage, known: Resume) -> None:
    """Newcomers, with and without a state of their own, over the stream and over HTTP."""
    async with running.client(OTHER_KEY) as newcomer:
        assert (await newcomer.synchronise()).intent == "full"
        await heartbeat(newcomer, stale=True)
    async with running.client() as resuming:
        assert (await resuming.hello(known)).intent == "none"
    served = await running.gateway.serve_key(OTHER_KEY, 1)
    assert (served.stale, served.seq) == (True, known.seq)


async def recovers(running: Stage, client: Client, ruleset: Ruleset) -> None:
    await heartbeat(client, stale=False)
    assert running.gateway.status().stale == ()
    await ruleset.change(("flag:b", {}))
    await client.reach(ruleset.seq)
    assert client.flags == ruleset.flags
    assert sum(isinstance(message, Snapshot) for message in client.heard) == 1
    assert not running.gateway.counters.closes


async def test_a_redis_that_hangs_is_waited_for(
    running: Stage, ruleset: Ruleset, valkey: ValkeyProcess
) -> None:
    async with running.client() as client:
        await client.synchronise()
        valkey.send(signal.SIGSTOP)
        await heartbeat(client, stale=True)
        await is_served_from_memory(running, Resume(client.epoch, client.seq))
        valkey.send(signal.SIGCONT)
        await recovers(running, client, ruleset)


async def test_a_redis_that_comes_back_empty_is_waited_for_until_it_is_filled(
    running: Stage, ruleset: Ruleset, valkey: ValkeyProcess
) -> None:
    async with running.client() as client:
        await client.synchronise()
        valkey.send(signal.SIGKILL)
        await heartbeat(client, stale=True)
        await is_served_from_memory(running, Resume(client.epoch, client.seq))
        valkey.start()
        reads = running.gateway.counters.reads
        await until(lambda: running.gateway.counters.reads > reads + 3)
        assert running.gateway.status().stale == (ENV,)
        await ruleset.write()  # as a projector does, who finds nothing
        await recovers(running, client, ruleset)


async def test_a_redis_that_comes_back_in_another_epoch_is_believed(
    running: Stage, ruleset: Ruleset, valkey: ValkeyProcess
) -> None:
    async with running.client() as client:
        await client.synchronise()
        valkey.send(signal.SIGKILL)
        await heartbeat(client, stale=True)
        valkey.start()
        ruleset.put("flag:d", 12, key="d")
        ruleset.epoch, ruleset.changed, ruleset.seq = 8, 12, 12
        await ruleset.write()
        await client.next_of(Snapshot)
        assert (client.epoch, client.flags) == ("8.1", ruleset.flags)


async def test_a_network_that_swallows_everything_is_waited_for(
    running: Stage, ruleset: Ruleset, proxy: FaultProxy
) -> None:
    async with running.client() as client:
        await client.synchronise()
        proxy.frozen = True
        await ruleset.change(("flag:a", {}))
        await heartbeat(client, stale=True)
        await is_served_from_memory(running, Resume(client.epoch, client.seq))
        proxy.frozen = False
        await client.reach(11)
        await recovers(running, client, ruleset)


async def test_a_subscription_whose_messages_are_swallowed_is_made_anew(
    running: Stage, ruleset: Ruleset, proxy: FaultProxy
) -> None:
    async with running.client() as client:
        await client.synchronise()
        proxy.deaf = True
        await until(lambda: running.gateway.counters.deaf >= 1)
        await ruleset.change(("flag:a", {}))
        await client.reach(11)  # found by comparing, with nothing heard
        proxy.deaf = False
        await until(lambda: running.gateway.hub.environments[ENV].subscribed)
        deltas = running.gateway.counters.deltas
        await ruleset.change(("flag:b", {}))
        await client.reach(12)
        await until(lambda: running.gateway.counters.deltas > deltas)


@pytest.mark.parametrize("left_bytes", [0, 1, 60])
async def test_an_answer_that_breaks_off_is_asked_for_again(
    running: Stage, ruleset: Ruleset, proxy: FaultProxy, left_bytes: int
) -> None:
    async with running.client() as client:
        await client.synchronise()
        proxy.left_bytes = left_bytes
        await ruleset.change(("flag:a", {"salt": "x" * 5_000}))
        await heartbeat(client, stale=True)
        assert proxy.cuts > 0
        proxy.left_bytes = None
        await client.reach(11)
        await recovers(running, client, ruleset)


async def test_a_first_client_is_told_to_try_again_while_redis_hangs(
    running: Stage, ruleset: Ruleset, proxy: FaultProxy
) -> None:
    proxy.frozen = True
    async with running.client() as early:
        assert await early.closed() == (1011, "keys cannot be checked at present")
    proxy.frozen = False
    async with running.client() as client:
        await client.synchronise()
        await ruleset.change(("flag:a", {}))
        await client.reach(11)
