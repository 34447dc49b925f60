from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from eventstore.pool import create_pool
from eventstore.store import EventStore


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[EventStore]:
    """An empty store."""
    async with create_pool(database_url, max_size=4) as pool:
        yield EventStore(pool)
