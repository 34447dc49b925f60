"""Running scripts: taught when unknown, stopped when cancelled."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from projections.script import Script

ADD = Script("return ARGV[1] + ARGV[2]")


async def test_a_server_is_taught_a_script_once(redis_client: Redis) -> None:
    await redis_client.script_flush()
    assert await ADD.run(redis_client, [], [1, 2]) == 3
    assert await redis_client.script_exists(ADD.sha) == [True]
    assert await ADD.run(redis_client, [], [3, 4]) == 7


async def test_an_error_of_the_script_is_raised(redis_client: Redis) -> None:
    with pytest.raises(ResponseError, match="gone wrong"):
        await Script("error('gone wrong')").run(redis_client, [])


@pytest.mark.parametrize("turns", range(30))
async def test_a_task_that_runs_scripts_all_the_time_can_be_cancelled(
    redis_client: Redis, turns: int
) -> None:
    async def work() -> None:
        while True:
            await ADD.run(redis_client, [], [1, 2])

    task = asyncio.create_task(work())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(10):
            await task
