"""HTTP's view of the environments in use: keys are judged as the stream judges them."""

from __future__ import annotations

import asyncio
import gzip

import pytest
import redis.asyncio
from halyard_protocol.messages import Snapshot
from halyard_protocol.session.feed import Delta
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from streaming.caller import KeyRefused, NotAvailable
from streaming.environment import Environment
from streaming.settings import StreamSettings
from tests.streaming.stage import Stage, no, stage, until
from tests.streaming.writing import ENV, OTHER_KEY, SERVER_KEY, Ruleset, key_document

CLIENT_KEY = f"{ENV}-c-in-the-clear"
NEW_KEY = f"{ENV}-s-secret-three"


def environment(running: Stage) -> Environment:
    return running.gateway.hub.environments[ENV]


async def test_a_live_key_opens_its_environment(on_stage: Stage, ruleset: Ruleset) -> None:
    served = await on_stage.gateway.serve_key(SERVER_KEY, 5)
    assert (served.kind, served.key_id, served.key_name) == ("server", "k1", "one")
    assert (served.environment, served.epoch) == ("production", ruleset.wire_epoch)
    assert (served.seq, served.changed, served.stale, served.live) == (10, 10, False, True)
    assert set(served.evaluator.ruleset.flags) == {"a", "b", "c"}


async def test_a_client_key_is_told_apart(on_stage: Stage, ruleset: Ruleset) -> None:
    ruleset.put(f"key:{CLIENT_KEY}", 10, id="k3", kind="client", name="web")
    await ruleset.write()
    served = await on_stage.gateway.serve_key(CLIENT_KEY, 5)
    assert (served.kind, served.key_id) == ("client", "k3")


@pytest.mark.usefixtures("ruleset")
async def test_a_key_that_was_found_is_not_looked_for_again(on_stage: Stage) -> None:
    first = await on_stage.gateway.serve_key(SERVER_KEY, 5)
    reads = on_stage.gateway.counters.reads
    again = on_stage.gateway.serve_key(SERVER_KEY, 5)
    with pytest.raises(StopIteration) as answered:
        again.send(None)
    assert answered.value.value is first
    other = await on_stage.gateway.serve_key(OTHER_KEY, 5)
    assert other is not first
    assert other.evaluator is first.evaluator
    assert on_stage.gateway.counters.reads == reads


@pytest.mark.usefixtures("ruleset")
@pytest.mark.parametrize("key", ["", "nonsense", f"{ENV}-s-wrong", "env000000002-s-wrong"])
async def test_a_wrong_key_is_refused(on_stage: Stage, key: str) -> None:
    for _ in range(2):
        with pytest.raises(KeyRefused):
            await on_stage.gateway.serve_key(key, 5)


@pytest.mark.usefixtures("ruleset")
@pytest.mark.parametrize("key", [f"{ENV}-s-wrong", "env000000002-s-wrong"])
async def test_a_key_is_not_refused_while_redis_is_behind_the_log(
    redis_client: redis.asyncio.Redis, key: str
) -> None:
    async with stage(redis_client, is_current=no) as running:
        with pytest.raises(NotAvailable):
            await running.gateway.serve_key(key, 5)
        assert running.gateway.status().unsynchronised == ()


async def test_a_revoked_key_is_refused_at_once(on_stage: Stage, ruleset: Ruleset) -> None:
    served = await on_stage.gateway.serve_key(SERVER_KEY, 5)
    other = await on_stage.gateway.serve_key(OTHER_KEY, 5)
    await ruleset.change((key_document(SERVER_KEY), None))
    await until(lambda: not served.live)
    with pytest.raises(KeyRefused):
        await on_stage.gateway.serve_key(SERVER_KEY, 5)
    assert await on_stage.gateway.serve_key(OTHER_KEY, 5) is other


async def test_a_key_that_was_just_issued_is_found(on_stage: Stage, ruleset: Ruleset) -> None:
    await on_stage.gateway.serve_key(SERVER_KEY, 5)
    key = f"{ENV}-s-new"
    await ruleset.change_in_silence((key_document(key), {"id": "k9", "kind": "server"}))
    assert (await on_stage.gateway.serve_key(key, 5)).key_id == "k9"


async def test_changes_are_followed_and_told(on_stage: Stage, ruleset: Ruleset) -> None:
    served = await on_stage.gateway.serve_key(SERVER_KEY, 5)
    kept, told = served.evaluator.ruleset.flags["b"], asyncio.Event()
    unsubscribe = served.on_change(told.set)
    await ruleset.change(("flag:a", {"salt": "t"}))
    await told.wait()
    assert served.changed == 11
    assert served.evaluator.ruleset.flags["a"].version == 11
    assert served.evaluator.ruleset.flags["b"] is kept
    told.clear()
    await ruleset.swap("g2", epoch=8)
    await told.wait()
    assert served.epoch == "8.1"
    unsubscribe()
    unsubscribe()
    assert not environment(on_stage).in_use


async def test_without_redis_it_is_served_from_memory(on_stage: Stage, ruleset: Ruleset) -> None:
    served = await on_stage.gateway.serve_key(SERVER_KEY, 5)
    await ruleset.vanish()
    await until(lambda: served.stale)
    assert await on_stage.gateway.serve_key(SERVER_KEY, 5) is served
    assert set(served.evaluator.ruleset.flags) == {"a", "b", "c"}
    with pytest.raises(NotAvailable):
        await on_stage.gateway.serve_key(f"{ENV}-s-wrong", 5)


async def test_nobody_is_refused_or_kept_waiting_without_redis(unused_tcp_port: int) -> None:
    nowhere = redis.asyncio.Redis(port=unused_tcp_port, retry=Retry(NoBackoff(), 0))
    async with nowhere, stage(nowhere) as running:
        with pytest.raises(NotAvailable):
            await running.gateway.serve_key(SERVER_KEY, 5)
        await until(lambda: not running.gateway.hub.environments)


async def test_waiting_has_an_end(redis_client: redis.asyncio.Redis, ruleset: Ruleset) -> None:
    async with stage(redis_client) as running:
        await ruleset.redis.client_pause(1_000)
        with pytest.raises(NotAvailable):
            await running.gateway.serve_key(SERVER_KEY, 0.05)
        status = running.gateway.status()
        assert (status.environments, status.ready, status.unsynchronised) == (0, True, ())
        assert (await running.gateway.serve_key(SERVER_KEY, 5)).live


@pytest.mark.usefixtures("ruleset")
async def test_it_is_kept_for_a_time_after_a_request(redis_client: redis.asyncio.Redis) -> None:
    patient = StreamSettings(linger_s=0, asked_linger_s=60, watch_s=0.01, silence_s=0.02)
    async with stage(redis_client, patient) as running:
        served = await running.gateway.serve_key(SERVER_KEY, 5)
        reads = running.gateway.counters.reads
        await until(lambda: running.gateway.counters.reads > reads + 2)
        await until(lambda: not environment(running).asked)
        assert await running.gateway.serve_key(SERVER_KEY, 5) is served
        assert environment(running).asked


@pytest.mark.usefixtures("ruleset")
async def test_it_is_dropped_and_loaded_again(redis_client: redis.asyncio.Redis) -> None:
    brief = StreamSettings(linger_s=0, asked_linger_s=0, watch_s=0.01)
    async with stage(redis_client, brief) as running:
        served = await running.gateway.serve_key(SERVER_KEY, 5)
        await until(lambda: not running.gateway.hub.environments)
        assert await running.gateway.serve_key(SERVER_KEY, 5) is not served


@pytest.mark.usefixtures("ruleset")
async def test_a_listener_keeps_it(redis_client: redis.asyncio.Redis) -> None:
    brief = StreamSettings(linger_s=0, asked_linger_s=0, watch_s=0.01, silence_s=0.05)
    async with stage(redis_client, brief) as running:
        served = await running.gateway.serve_key(SERVER_KEY, 5)
        unsubscribe = served.on_change(lambda: None)
        reads = running.gateway.counters.reads
        await until(lambda: running.gateway.counters.reads > reads + 2)
        assert environment(running).in_use
        unsubscribe()
        await until(lambda: not running.gateway.hub.environments)


async def test_the_body_is_the_stream_s_snapshot(on_stage: Stage, ruleset: Ruleset) -> None:
    served = await on_stage.gateway.serve_key(SERVER_KEY, 5)
    async with on_stage.client() as client:
        await client.synchronise()
        snapshot = next(each for each in client.heard if isinstance(each, Snapshot))
    before = await served.snapshot()
    assert [bytes(flag) in before for flag in snapshot.flags] == [True] * 3
    assert served.etag == "7.1-10"
    assert await served.snapshot() is before
    one, another = await asyncio.gather(served.compressed_snapshot(), served.compressed_snapshot())
    assert one is another
    assert gzip.decompress(one) == before
    await ruleset.change(("flag:a", {"salt": "x" * 100_000}))
    await until(lambda: served.changed == 11)
    assert served.etag == "7.1-11"
    assert await served.snapshot() != before
    assert gzip.decompress(await served.compressed_snapshot()) == await served.snapshot()


async def test_a_listening_key_tells_of_changes_and_opens_nothing_else(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    listening = (await on_stage.gateway.serve_key(SERVER_KEY, 5)).listening_key
    served = await on_stage.gateway.listen_with(listening, 5)
    news: list[int] = []
    unsubscribe = served.on_change(lambda: news.append(served.changed))
    await ruleset.change(("flag:a", {"enabled": True}))
    await until(lambda: news == [11])
    unsubscribe()
    for _ in range(2):
        with pytest.raises(KeyRefused):
            await on_stage.gateway.serve_key(listening, 5)


@pytest.mark.usefixtures("ruleset")
async def test_a_secret_is_no_listening_key(on_stage: Stage) -> None:
    with pytest.raises(KeyRefused):
        await on_stage.gateway.listen_with(SERVER_KEY, 5)


async def test_a_listening_key_dies_with_its_key(on_stage: Stage, ruleset: Ruleset) -> None:
    listening = (await on_stage.gateway.serve_key(SERVER_KEY, 5)).listening_key
    served = await on_stage.gateway.listen_with(listening, 5)
    await ruleset.change((key_document(SERVER_KEY), None))
    await until(lambda: not served.live)
    with pytest.raises(KeyRefused):
        await on_stage.gateway.listen_with(listening, 5)


async def test_a_key_that_is_revoked_while_it_is_being_found_is_not_kept(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    await on_stage.gateway.serve_key(OTHER_KEY, 5)
    await ruleset.change_in_silence((key_document(NEW_KEY), {"id": "k3", "kind": "server"}))
    asking = asyncio.ensure_future(on_stage.gateway.serve_key(NEW_KEY, 5))
    await asyncio.sleep(0)
    assert environment(on_stage).reading
    revoked = {key_document(NEW_KEY): b'{"version":12,"deleted":true}'}
    environment(on_stage).hear(Delta(ruleset.wire_epoch, 11, 12, 12, revoked), 10)
    with pytest.raises(KeyRefused):
        await asking
    assert NEW_KEY not in environment(on_stage).callers
