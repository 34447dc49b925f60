"""Running scripts: taught when unknown, stopped when cancelled."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from projections.script import Script, script

SCRIPTS = sorted((Path(__file__).parents[2] / "projections" / "scripts").glob("*.lua"))
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


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_touches_no_key_that_it_was_not_given(path: Path) -> None:
    calls = re.findall(r"redis\.call\(\s*'(\w+)', ([^,)]+)", script(path.stem).source)
    assert calls
    for command, first in calls:
        given = re.fullmatch(r"KEYS\[(\d|at)\]|key", first)
        assert given or (command == "SPUBLISH" and first.startswith("ARGV[")), (command, first)
