"""What the Python SDK counts, as a real gateway adds it up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from halyard_sdk import AsyncClient, Client, follower

from tests.streaming.stage import Stage, until
from tests.streaming.writing import ENV, SERVER_KEY, Ruleset

TRACKED: dict[str, Any] = {
    "type": "boolean",
    "enabled": True,
    "variations": [{"key": "on", "value": True}, {"key": "off", "value": False}],
    "targets": [{"variation": "off", "keys": ["bob"]}],
    "fallthrough": {"variation": "on"},
    "trackExposures": True,
}
TURNS = 4_000


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "EXPOSURES_PERIOD_S", 0.02)


def ask(flags: Client) -> None:
    for turn in range(TURNS):
        assert flags.boolean("a", "bob", True) is False
        flags.variation("a", {"key": f"user-{turn % 50}", "plan": "pro"}, False)
        flags.boolean("b", "bob", False)


async def test_as_many_arrive_as_flags_were_asked_for(on_stage: Stage, ruleset: Ruleset) -> None:
    await ruleset.change(("flag:a", TRACKED), ("flag:b", {**TRACKED, "trackExposures": False}))
    url = on_stage.url.removesuffix("/stream/v1")
    counters = on_stage.gateway.counters
    async with AsyncClient(url, SERVER_KEY) as other:
        assert await other.wait_ready(10)
        client = Client(url, SERVER_KEY)
        assert await asyncio.to_thread(client.wait_ready, 10)
        asking = [asyncio.create_task(asyncio.to_thread(ask, client)) for _ in range(8)]
        asked = 0
        while not all(each.done() for each in asking):
            assert other.boolean("a", "ann", False)
            asked += 1
            await ruleset.change(("flag:a", {**TRACKED, "salt": str(asked)}))
        await asyncio.gather(*asking)
        await asyncio.to_thread(client.close)
        await other.close()
    await until(lambda: counters.exposures[ENV] == 8 * 2 * TURNS + asked)
    assert client.dropped_exposures == other.dropped_exposures == 0
    assert not counters.closes
