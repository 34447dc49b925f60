"""The embedded PostgreSQL and Valkey for tests: one pair for each test process.

They live on an event loop of their own, in a thread of their own, so that no test's loop ever
meets theirs, and a test that blocks its loop does not stop them from being supervised.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future, wait
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import redis.asyncio

from server.embedded.supervisor import EmbeddedServers

T = TypeVar("T")


class TestServers:
    """Fast, forgetful servers below ``folder``; a context manager for a whole test session.

    A test waits for no database: the next copy of a template is made while it runs, and its own is
    dropped while the next test runs.
    """

    __test__ = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count(1)
        self._next: dict[str, tuple[str, Future[None]]] = {}
        """By template: the copy that is being made for whoever asks next."""
        self._dropping: list[Future[None]] = []
        self._connection: asyncpg.Connection | None = None
        """Over which databases are made and dropped, one after the other; of the servers' loop."""
        self._free = asyncio.Lock()
        self._started: Future[EmbeddedServers] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()), name="servers")

    def __enter__(self) -> TestServers:
        self._thread.start()
        self._servers = self._started.result()
        return self

    def __exit__(self, *_: object) -> None:
        wait([*self._dropping, *(made for _, made in self._next.values())])
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _live(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with EmbeddedServers(self._folder, durable=False) as servers:
                self._started.set_result(servers)
                await self._stop.wait()
                if self._connection is not None:
                    await self._connection.close()
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the servers' loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    @property
    def redis_url(self) -> str:
        """Of the Valkey; shared by all tests of this process."""
        return self._servers.redis_url

    def create_database(self, template: str = "template1") -> str:
        """A fresh database, copied from ``template``; returns its name."""
        if template not in self._next:
            self._next[template] = self._copying(template)
        name, made = self._next.pop(template)
        made.result()
        self._next[template] = self._copying(template)
        return name

    def _copying(self, template: str) -> tuple[str, Future[None]]:
        name = f"test_{next(self._numbers)}"
        # The quicker way where nothing is durable, and so no checkpoint waits for a disk.
        copied = f'create database "{name}" template "{template}" strategy file_copy'
        return name, self._begin(copied)

    def drop_database(self, name: str) -> None:
        """Have a database dropped, whoever is connected to it; raises what an earlier one met."""
        for done in [each for each in self._dropping if each.done()]:
            self._dropping.remove(done)
            done.result()
        self._dropping.append(self._begin(f'drop database if exists "{name}" with (force)'))

    def database_url(self, name: str) -> str:
        """The URL of a database by its name."""
        return self._servers.postgres.url(name)

    def flush_redis(self) -> None:
        """Empty the Valkey."""
        self.run(_flush(self.redis_url))

    def _begin(self, statement: str) -> Future[None]:
        return asyncio.run_coroutine_threadsafe(self._execute(statement), self._loop)

    async def _execute(self, statement: str) -> None:
        async with self._free:
            if self._connection is None or self._connection.is_closed():
                self._connection = await asyncpg.connect(self.database_url("postgres"))
            await self._connection.execute(statement)


async def _flush(url: str) -> None:
    async with redis.asyncio.from_url(url) as client:
        await client.flushall()
