"""Fixtures that any test may use: real servers, and a clean place on them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio
from hypothesis import HealthCheck, settings

from eventstore.migrate import migrate
from projections.script import RedisClient
from server.redis_client import connect_redis
from tests.support.cluster import ClusterServers
from tests.support.servers import TestServers

# How long an example takes says how busy the machine is, not whether the code is right.
# Each run draws other examples; ``HYPOTHESIS_EXAMPLES`` draws more of them.
settings.register_profile(
    "halyard",
    deadline=None,
    max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "60")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("halyard")


MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 4 * 1024**3


def in_memory() -> bool:
    """Whether what tests write can stay in memory; a disk would be most of what they wait for."""
    if not os.access(MEMORY, os.W_OK):
        return False
    there = os.statvfs(MEMORY)
    programs_run = not there.f_flag & os.ST_NOEXEC
    return programs_run and there.f_bavail * there.f_frsize > ENOUGH_BYTES


if in_memory():
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that no worker is left with it when the others have done."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServers]:
    """The PostgreSQL and the Valkey of this test process, started when first needed."""
    with TestServers(tmp_path_factory.mktemp("servers")) as running:
        yield running


@pytest.fixture
def empty_database_url(servers: TestServers) -> Iterator[str]:
    """A database of this test's own with nothing in it."""
    name = servers.create_database()
    yield servers.database_url(name)
    servers.drop_database(name)


@pytest.fixture(scope="session")
def migrated_template(servers: TestServers) -> str:
    """The name of a database with Halyard's schema in it, to be copied."""
    name = servers.create_database()
    servers.run(_migrate(servers.database_url(name)))
    return name


@pytest.fixture
def database_url(servers: TestServers, migrated_template: str) -> Iterator[str]:
    """A database of this test's own with Halyard's schema in it."""
    name = servers.create_database(migrated_template)
    yield servers.database_url(name)
    servers.drop_database(name)


@pytest.fixture
def redis_url(servers: TestServers) -> str:
    """The Valkey of this test process, emptied."""
    servers.flush_redis()
    return servers.redis_url


@pytest.fixture(scope="session")
def cluster_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterServers]:
    """The Redis Cluster of this test process, started when first needed."""
    with ClusterServers(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture
def cluster(cluster_servers: ClusterServers) -> ClusterServers:
    """The cluster, whole and emptied."""
    cluster_servers.heal()
    cluster_servers.flush()
    return cluster_servers


@pytest.fixture
async def cluster_client(cluster: ClusterServers) -> AsyncIterator[RedisClient]:
    """A client of the cluster, as the program has it."""
    async with connect_redis(cluster.url) as client:
        yield client


@pytest.fixture
async def redis_client(redis_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    """A client of the emptied Valkey; answers are bytes."""
    async with redis.asyncio.from_url(redis_url) as client:
        yield client


async def _migrate(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await migrate(connection)
    finally:
        await connection.close()
