"""The client of a process, where what is behind its address changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ReadOnlyError

from server.redis_client import connect_redis
from tests.support.forwarder import Forwarder
from tests.support.valkey_process import ValkeyProcess, free_ports, started


async def test_connections_to_a_master_that_was_demoted_are_given_up(tmp_path: Path) -> None:
    first, second = (ValkeyProcess(tmp_path / str(port), port) for port in free_ports(2))
    with started(first, second):
        async with Forwarder(first.port).running() as address:
            async with connect_redis(f"redis://127.0.0.1:{address.port}") as redis:
                assert isinstance(redis, Redis)
                await redis.set("which", "first")
                first.follow(second)
                address.target = second.port
                with pytest.raises(ReadOnlyError):
                    await redis.set("which", "second")
                await redis.set("which", "second")
        assert second.client.get("which") == b"second"
