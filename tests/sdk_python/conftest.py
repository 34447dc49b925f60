from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.stream_peer import StreamPeer, stream_peer


@pytest.fixture
async def peer() -> AsyncIterator[StreamPeer]:
    """A stream server that says what the test tells it to."""
    async with stream_peer() as running:
        yield running
