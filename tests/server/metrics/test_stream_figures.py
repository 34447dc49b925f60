"""What a gateway tells after real traffic over real sockets."""

from __future__ import annotations

import pytest
import redis.asyncio
from halyard_protocol.messages import Goodbye, Resume
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from server.metrics.stream import StreamFigures
from streaming.drain import drain
from streaming.settings import StreamSettings
from tests.streaming.stage import Stage, stage, until
from tests.streaming.writing import ENV, Ruleset
from tests.support.scraping import Scrape, scrape_of


async def told(on: Stage) -> Scrape:
    return await scrape_of(StreamFigures(on.gateway))


async def test_resumes_messages_and_refusals_are_counted(
    redis_client: redis.asyncio.Redis,
) -> None:
    ruleset = await Ruleset(redis_client).create("a", "b")
    async with stage(redis_client) as on:
        await ruleset.change(("flag:a", {}))
        async with on.client() as new, on.client() as back, on.client() as same:
            await new.synchronise()
            assert (await back.hello(Resume("7.1", 10))).intent == "changes"
            await back.reach(11)
            assert (await same.hello(Resume("7.1", 11))).intent == "none"
            await ruleset.change(("flag:b", {}))
            for client in (new, back, same):
                await client.reach(12)
            async with on.dial("nobody") as wrong:
                await wrong.wait_closed()
            scrape = await told(on)
        assert scrape("halyard_stream_connections") == 3
        assert scrape("halyard_stream_handshakes_total", result="accepted") == 4
        assert scrape("halyard_stream_closes_total", code="4401") == 1
        for intent in ("full", "changes", "none"):
            assert scrape("halyard_stream_resumes_total", intent=intent) == 1
        sent = {
            kind: scrape("halyard_stream_messages_sent_total", type=kind)
            for kind in ("welcome", "snapshot", "changes")
        }
        assert sent == {"welcome": 3, "snapshot": 1, "changes": 4}
        assert scrape("halyard_stream_pubsub_deltas_total") == 1
        assert scrape("halyard_stream_environments") == 1
        assert 0 <= scrape("halyard_stream_pubsub_silence_seconds") < 10
        await until(lambda: on.gateway.counters.heartbeats > 0 or not on.gateway.connections)
        await until(lambda: not on.gateway.connections)
        assert (await told(on))("halyard_stream_connections") == 0


async def test_every_byte_is_counted(redis_client: redis.asyncio.Redis) -> None:
    ruleset = await Ruleset(redis_client).create("a")
    async with stage(redis_client) as on, on.client() as client:
        received = 0
        protocol = client.connection
        receive = protocol.data_received

        def counted(data: bytes) -> None:
            nonlocal received
            received += len(data)
            receive(data)

        answered = (await told(on))("halyard_stream_bytes_sent_total")
        protocol.data_received = counted  # type: ignore[method-assign]
        await client.synchronise()
        await ruleset.change(("flag:a", {"name": "x" * 10_000}))
        await client.reach(11)
        scrape = await told(on)
        # A ping or a heartbeat may be on its way.
        assert received > 10_000
        assert received <= scrape("halyard_stream_bytes_sent_total") - answered < received + 500
        assert scrape("halyard_stream_bytes_received_total") > 100


async def test_who_does_not_read_is_behind_until_it_reads_or_goes(
    redis_client: redis.asyncio.Redis,
) -> None:
    ruleset = await Ruleset(redis_client).create("a")
    async with stage(redis_client) as on:
        async with on.client() as slow, on.client() as gone:
            for client in (slow, gone):
                await client.synchronise()
                client.connection.transport.pause_reading()
            while on.gateway.counters.behind < 2:
                await ruleset.change(("flag:a", {"name": "x" * 500_000}))
                await until(lambda: on.gateway.counters.deltas == ruleset.seq - 10)
            assert (await told(on))("halyard_stream_behind_connections") == 2
            for _ in range(3):
                await ruleset.change(("flag:a", {}))
            gone.connection.transport.abort()
            await until(lambda: on.gateway.counters.behind == 1)
            slow.connection.transport.resume_reading()
            await slow.reach(ruleset.seq)
            scrape = await told(on)
            assert scrape("halyard_stream_behind_connections") == 0
            assert scrape("halyard_stream_conflations_total") == 1


async def test_a_stale_environment_is_named(redis_client: redis.asyncio.Redis) -> None:
    await Ruleset(redis_client).create("a")
    async with stage(redis_client) as on, on.client() as client:
        await client.synchronise()
        assert (await told(on))("halyard_stream_stale_environments") == 0
        await redis_client.flushall()
        await until(lambda: bool(on.gateway.status().stale))
        scrape = await told(on)
        assert scrape("halyard_stream_stale_environments") == 1
        assert scrape("halyard_stream_environment_stale", environment=ENV) == 1


async def test_a_drain_shows(redis_client: redis.asyncio.Redis) -> None:
    await Ruleset(redis_client).create("a")
    async with stage(redis_client) as on, on.client() as client:
        await client.synchronise()
        await drain(on.gateway, 0, 0)
        await client.next_of(Goodbye)
        assert await client.closed() == (1001, "the server is going away")
        scrape = await told(on)
    assert scrape("halyard_stream_draining") == 1
    assert scrape("halyard_stream_messages_sent_total", type="goodbye") == 1
    assert scrape("halyard_stream_closes_total", code="1001") == 1


async def test_who_is_turned_away_is_told_from_who_is_refused(
    redis_client: redis.asyncio.Redis,
) -> None:
    await Ruleset(redis_client).create("a")
    async with stage(redis_client, StreamSettings(handshakes_per_second=2)) as on:
        async with on.client() as client:
            await client.synchronise()
            with pytest.raises(InvalidStatus):
                await on.dial(subprotocols=[Subprotocol("another")])
            for _ in range(2):
                with pytest.raises(InvalidStatus):
                    await on.dial()
        scrape = await told(on)
    results = {
        sample.labels["result"]: sample.value
        for sample in scrape.metrics["halyard_stream_handshakes"].samples
    }
    assert results == {"accepted": 1, "refused": 1, "turned_away": 2}
    assert scrape("halyard_stream_connections_max") == on.gateway.settings.max_connections
