"""One bare connection: the schema's commands run before a pool, which wants a current schema."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

from eventstore.errors import translating
from server.cli.installations import Installation

T = TypeVar("T")


def on_connection(
    work: Callable[[asyncpg.Connection], Awaitable[T]],
) -> Callable[[Installation], Awaitable[T]]:
    """``work`` on a connection to the installation's database."""

    async def connect_and_work(installation: Installation) -> T:
        with translating:
            connection = await asyncpg.connect(installation.database_url)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return connect_and_work
