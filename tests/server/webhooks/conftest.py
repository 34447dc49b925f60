"""A project, a process that delivers, and a receiver that it may reach."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.api import install
from tests.support.delivering import LOOPBACK, Delivering, delivering
from tests.support.receiver import Receiver


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def process(database_url: str) -> AsyncIterator[Delivering]:
    async with delivering(database_url) as process:
        await install(process.dependencies)
        await process.allow(LOOPBACK)
        await process.project()
        yield process
