"""A server process's writers, several of them, on one database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from domain.commands import CreateProject, complete
from eventstore.follow import Follower
from eventstore.pool import create_pool
from eventstore.store import EventStore
from server.credentials import new_id
from server.writing.submission import Submission
from server.writing.writers import Writers

Starter = Callable[[], Awaitable[Writers]]


@asynccontextmanager
async def running_writers(database_url: str) -> AsyncIterator[Writers]:
    async with create_pool(database_url, max_size=4) as pool, asyncio.TaskGroup() as tasks:
        store = EventStore(pool)
        writers = Writers(store, tasks, lambda _log, _seq: None)
        follower = Follower(store, poll_s=0.02)
        following = [
            tasks.create_task(follower.run()),
            tasks.create_task(writers.follow(follower)),
        ]
        yield writers
        writers.stop()
        for task in following:
            task.cancel()


@pytest.fixture
async def start(database_url: str) -> AsyncIterator[Starter]:
    async with AsyncExitStack() as stack:

        async def started() -> Writers:
            return await stack.enter_async_context(running_writers(database_url))

        yield started


@pytest.fixture
async def writers(start: Starter) -> Writers:
    first = await start()
    project = complete(CreateProject(project="shop", name="Shop"), new_id)
    await first.submit("shop", Submission.of("setup", project))
    return first
