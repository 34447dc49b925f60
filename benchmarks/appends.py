"""Events per second through the only write path, at 1, 16 and 256 concurrent callers.

Every command is decided against a project of 200 flags, appended, hash-chained and synced to disk.
The floor is a loop that inserts one row of the same size and commits, on one connection of the
same server: what one caller cannot beat. Does not measure HTTP, nor projections.
"""

from __future__ import annotations

import asyncio
import time

import asyncpg
import uvloop

from benchmarks.database_stage import PROJECT, database_stage, writers_stage
from domain.commands import DisableFlag, EnableFlag
from server.writing.submission import Submission
from server.writing.writers import Writers

CALLERS = (1, 16, 256)
FLAGS = 200
SECONDS = 5.0


async def floor(database_url: str) -> float:
    """Rows per second of a bare INSERT and COMMIT."""
    connection = await asyncpg.connect(database_url)
    await connection.execute("create table floor (id bigserial primary key, body bytea)")
    insert = await connection.prepare("insert into floor (body) values ($1)")
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        await insert.fetch(b"x" * 300)
        count += 1
    rate = count / (time.perf_counter() - began)
    await connection.close()
    return rate


async def appends(writers: Writers, callers: int) -> float:
    """Events per second of so many callers, each waiting for its answer before the next."""
    stop_at = time.perf_counter() + SECONDS

    async def call(number: int) -> int:
        done = 0
        flag = f"flag-{number % FLAGS}"
        environment = ("development", "staging", "production")[number // FLAGS]
        while time.perf_counter() < stop_at:
            command = (DisableFlag if done % 2 else EnableFlag)(flag=flag, environment=environment)
            answer = await writers.submit(PROJECT, Submission.of("bench", command))
            done += len(answer.events)
        return done

    began = time.perf_counter()
    counts = await asyncio.gather(*(call(number) for number in range(callers)))
    return sum(counts) / (time.perf_counter() - began)


async def measure() -> None:
    """The floor before and after, and each number of callers between."""
    async with database_stage() as servers:
        async with writers_stage(servers.database_url, FLAGS) as (writers, _):
            bare = await floor(servers.database_url)
            print(f"bare INSERT and COMMIT, one connection: {bare:,.0f} rows/s")
            for callers in CALLERS:
                rate = await appends(writers, callers)
                ratio = f"{rate / bare:.2f} of the bare loop"
                print(f"{callers:>4} callers: {rate:>8,.0f} events/s   {ratio}")


def main() -> None:
    """Measure on uvloop."""
    uvloop.run(measure())


if __name__ == "__main__":
    main()
