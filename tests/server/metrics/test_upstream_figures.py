"""What is told of what SDKs tell."""

from __future__ import annotations

import redis.asyncio
from halyard_protocol.messages import (
    Dropped,
    Exposure,
    Exposures,
    Track,
    TrackingEvent,
    encode_message,
)

from eventstore.counts import CountBatch
from eventstore.errors import StoreBusy
from server.metrics.upstream import UpstreamFigures
from tests.streaming.stage import stage, until
from tests.streaming.writing import Ruleset
from tests.support.scraping import scrape_of


async def busy(_batch: CountBatch) -> None:
    raise StoreBusy("not now")


async def taken(_batch: CountBatch) -> None:
    pass


async def test_what_is_counted_what_is_lost_and_what_waits(
    redis_client: redis.asyncio.Redis,
) -> None:
    await Ruleset(redis_client).create("a")
    async with stage(redis_client) as on, on.client() as client:
        upstream, counters = on.gateway.upstream, on.gateway.counters
        await client.synchronise()
        counted = (Exposure(10, "on", "FALLTHROUGH", 5),)
        exposures = Exposures(0, 0, {"a": counted, "b": counted}, dropped=Dropped(events=3))
        events = Track((TrackingEvent("bought", 1), TrackingEvent("", 1)))
        for message in (exposures, events):
            await client.connection.send(encode_message(message).decode())
        await until(lambda: counters.tracking_events.total() == 1)
        upstream.sink = busy
        assert not await upstream.flush()
        await client.connection.send(encode_message(events).decode())
        await until(lambda: counters.tracking_events.total() == 2)
        upstream.sink = taken
        scrape = await scrape_of(UpstreamFigures(on.gateway))
        assert scrape("halyard_upstream_exposures_total", result="accepted") == 5
        assert scrape("halyard_upstream_lost_exposures_total", reason="unknown") == 5
        assert scrape("halyard_upstream_lost_events_total", reason="sdk") == 3
        assert scrape("halyard_upstream_lost_events_total", reason="invalid") == 2
        assert scrape("halyard_upstream_failures_total") == 1
        assert scrape("halyard_upstream_waiting") == 2
        assert await upstream.flush()
        assert await upstream.flush()
        scrape = await scrape_of(UpstreamFigures(on.gateway))
        assert scrape("halyard_upstream_batches_total") == 2
        assert scrape("halyard_upstream_waiting") == 0
