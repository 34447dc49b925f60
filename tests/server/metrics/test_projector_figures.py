"""What is told of logs and their rulesets, and who is told their names."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from domain import commands as c
from eventstore.store import EventStore
from projections.log_projector import LogLag
from projections.runner import Projector
from server.metrics.projector import NAMED_LOGS, ProjectorFigures
from tests.support.logs import append, new_command, new_event
from tests.support.projecting import stored_log
from tests.support.scraping import Scrape, scrape_of


async def told_when(figures: ProjectorFigures, name: str, value: float, **labels: str) -> Scrape:
    async with asyncio.timeout(20):
        while (scrape := await scrape_of(figures)).get(name, **labels) != value:
            await asyncio.sleep(0.005)
    return scrape


async def test_logs_are_told_with_what_stops_them(store: EventStore, redis_client: Redis) -> None:
    sound, poisoned = await stored_log(store, "sound"), await stored_log(store, "poisoned")
    unknown = new_event("x", type="FromTheFuture", critical=True)
    await append(store, poisoned.log_id, new_command(unknown))
    projector = Projector(store, redis_client)
    figures = ProjectorFigures(projector, naming=True)
    running = asyncio.create_task(projector.run())
    stopped = "halyard_projector_logs_stopped"
    await told_when(figures, stopped, 1, reason="poisoned")
    await sound.do(c.CreateFlag("alpha"))
    scrape = await told_when(figures, "halyard_projector_updates_total", 2, answer="applied")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert scrape("halyard_projector_logs") == 2
    assert scrape("halyard_projector_poisonings_total") == 1
    assert scrape("halyard_projector_builds_total", outcome="swapped") == 4
    assert scrape("halyard_projector_lag_events") == 1
    assert scrape.get("halyard_projector_log_lag_events", log="poisoned") == 1
    assert scrape("halyard_projector_log_lag_seconds", log="poisoned") > 0
    assert scrape("halyard_projector_lag_seconds") > 0
    assert scrape.get("halyard_projector_log_lag_events", log="sound") == 0


class ManyLogs(Projector):
    """Behind by as many events, and seconds, as the log's number says."""

    def lags(self) -> list[LogLag]:
        return [LogLag(f"log-{n}", n, n, poisoned=False, troubled=n > 490) for n in range(500)]


@pytest.mark.parametrize("naming", [True, False])
async def test_of_many_logs_the_worst_are_named_and_to_strangers_none(
    store: EventStore, redis_client: Redis, naming: bool
) -> None:
    scrape = await scrape_of(ProjectorFigures(ManyLogs(store, redis_client), naming=naming))
    assert scrape("halyard_projector_logs") == 500
    assert scrape("halyard_projector_lag_events") == 499
    assert scrape("halyard_projector_lag_seconds") == 499
    assert scrape("halyard_projector_logs_stopped", reason="troubled") == 9
    named = scrape.metrics["halyard_projector_log_lag_seconds"].samples
    assert sorted(each.value for each in named) == (
        list(range(500 - NAMED_LOGS, 500)) if naming else []
    )
