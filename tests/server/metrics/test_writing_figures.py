"""What is told of commands, and of connections to PostgreSQL."""

from __future__ import annotations

import asyncio

import pytest

from domain.commands import CreateFlag, CreateProject, complete
from domain.errors import Refusal
from eventstore.pool import create_pool
from eventstore.store import EventStore
from server.credentials import new_id
from server.metrics.writing import WritingFigures
from server.writing.errors import LogUnknown
from server.writing.submission import Submission
from server.writing.writers import Writers
from tests.support.scraping import scrape_of


async def test_commands_are_told_by_what_became_of_them(database_url: str) -> None:
    async with create_pool(database_url, max_size=3) as pool, asyncio.TaskGroup() as tasks:
        writers = Writers(EventStore(pool), tasks, lambda _log, _seq: None)
        project = complete(CreateProject(project="shop", name="Shop"), new_id)
        await writers.submit("shop", Submission.of("one", project))
        with pytest.raises(Refusal):
            await writers.submit("shop", Submission.of("two", project))
        flags = (complete(CreateFlag(flag=key), new_id) for key in "ab")
        await writers.submit("shop", Submission.of("three", *flags))
        flag = complete(CreateFlag(flag="c"), new_id)
        with pytest.raises(LogUnknown):
            await writers.submit("none", Submission.of("four", flag))
        scrape = await scrape_of(WritingFigures(writers, pool))
        writers.stop()
    told = {
        sample.labels["result"]: sample.value
        for sample in scrape.metrics["halyard_commands"].samples
    }
    assert told == {"accepted": 3, "refused": 1, "failed": 1}
    assert scrape("halyard_command_refusals_total", refusal="KeyTaken") == 1
    assert scrape("halyard_command_batch_size_count") == 3
    assert scrape("halyard_command_duration_seconds_count") == 4
    assert scrape("halyard_command_queue_depth") == 0
    assert scrape("halyard_writer_logs") == 1


async def test_who_waits_for_a_connection_is_seen(database_url: str) -> None:
    async with create_pool(database_url, max_size=2) as pool, asyncio.TaskGroup() as tasks:
        figures = WritingFigures(Writers(EventStore(pool), tasks, lambda _log, _seq: None), pool)
        async with pool.acquire():
            held = await pool.acquire()
            waits = asyncio.create_task(pool.fetchval("SELECT 7"))
            gives_up = asyncio.create_task(pool.fetchval("SELECT 8"))
            await asyncio.sleep(0)
            scrape = await scrape_of(figures)
            assert scrape("halyard_database_waiting") == 2
            assert scrape("halyard_database_connections", state="busy") == 2
            assert scrape("halyard_database_connections_max") == 2
            gives_up.cancel()
            await pool.release(held)
            assert await waits == 7
        scrape = await scrape_of(figures)
    assert scrape("halyard_database_waiting") == 0
    assert scrape("halyard_database_connections", state="idle") == 2
    assert scrape("halyard_database_wait_seconds_count") == 4
