"""A peer vanishes without a word, the other way round as well: both ends find out, and mend it."""

from __future__ import annotations

import msgspec
import pytest
import redis.asyncio
from halyard_sdk import AsyncClient, connection
from halyard_sdk.status import State

from tests.streaming.stage import QUICK, stage, until
from tests.streaming.writing import SERVER_KEY, Ruleset
from tests.support.fault_proxy import FaultProxy


async def test_both_ends_of_a_dead_connection_give_it_up(
    redis_client: redis.asyncio.Redis, ruleset: Ruleset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "OPEN_TIMEOUT_S", 1.0)
    settings = msgspec.structs.replace(QUICK, closing_s=0.3)
    async with (
        stage(redis_client, settings) as running,
        FaultProxy(running.port) as proxy,
        AsyncClient(f"http://127.0.0.1:{proxy.port}", SERVER_KEY) as flags,
    ):
        assert await flags.wait_ready(10)
        proxy.frozen = True
        await until(lambda: running.gateway.counters.cut >= 1)
        assert running.gateway.counters.closes == {4408: 1}
        await until(lambda: flags.status.state is State.STALE)
        await ruleset.change(("flag:a", {"enabled": False}))
        proxy.frozen = False
        assert await flags.wait_ready(10, stale_ok=False)
        assert len(running.gateway.connections) == 1
        assert running.gateway.counters.welcomes == {"full": 1, "changes": 1}
