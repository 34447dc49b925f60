"""One server process's parts, with an admin."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from server.http.dependencies import Dependencies
from tests.support.api import install, running_dependencies


@pytest.fixture
async def dependencies(database_url: str) -> AsyncIterator[Dependencies]:
    async with running_dependencies(database_url) as dependencies:
        await install(dependencies)
        yield dependencies
