"""A durable embedded PostgreSQL and Valkey with the schema, and one project on it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import structlog

from domain.commands import CreateFlag, CreateProject, complete
from eventstore.migrate import migrate
from eventstore.pool import create_pool
from eventstore.store import EventStore
from server.credentials import new_id
from server.embedded.supervisor import EmbeddedServers
from server.writing.submission import Submission
from server.writing.writers import Writers

PROJECT = "bench"


@contextlib.asynccontextmanager
async def database_stage() -> AsyncIterator[EmbeddedServers]:
    """Both servers, with everything synced to disk as in production."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as folder:
        async with EmbeddedServers(Path(folder) / "data") as servers:
            connection = await asyncpg.connect(servers.database_url)
            await migrate(connection)
            await connection.close()
            yield servers


@contextlib.asynccontextmanager
async def writers_stage(database_url: str, flags: int) -> AsyncIterator[tuple[Writers, EventStore]]:
    """Writers with a project of so many flags."""
    async with create_pool(database_url) as pool, asyncio.TaskGroup() as tasks:
        store = EventStore(pool)
        writers = Writers(store, tasks, lambda _log, _seq: None)
        await writers.submit(
            PROJECT,
            Submission.of("bench", complete(CreateProject(project=PROJECT, name="Bench"), new_id)),
        )
        creations = [complete(CreateFlag(flag=f"flag-{n}"), new_id) for n in range(flags)]
        await writers.submit(PROJECT, Submission.of("bench", *creations))
        yield writers, store
        writers.stop()
