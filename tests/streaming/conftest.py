"""The gateway is tested on the event loop that it is run on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import redis.asyncio
import uvloop

from tests.streaming.stage import Stage, stage
from tests.streaming.writing import Ruleset


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def ruleset(redis_client: redis.asyncio.Redis) -> Ruleset:
    """A ruleset with three flags, in Redis."""
    return await Ruleset(redis_client).create("a", "b", "c")


@pytest.fixture
async def on_stage(redis_client: redis.asyncio.Redis) -> AsyncIterator[Stage]:
    """A gateway with short times."""
    async with stage(redis_client) as running:
        yield running
