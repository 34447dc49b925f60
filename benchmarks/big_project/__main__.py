"""Build the big project and ask it everything: ``python -m benchmarks.big_project [EVENTS]``."""

from __future__ import annotations

import sys

import asyncpg
import uvloop

from benchmarks.big_project.filling import EVENTS, FLAGS
from benchmarks.big_project.plans import explain
from benchmarks.big_project.questions import answer, histories, lists, past, undoing
from benchmarks.big_project.stage import ask, big_stage


async def measure(events: int) -> None:
    """Print one line for each question, beside the floor: the same server's answer to a probe."""
    async with big_stage(events=events) as stage, stage.api() as http:
        connection = await asyncpg.connect(stage.servers.database_url)
        await explain(connection, FLAGS, events)
        await connection.close()
        print(flush=True)
        await http.get("/api/v1/projects")  # folds the log
        print(f"{'floor: /healthz':40} {await ask(http, ['/healthz'] * 300)}")
        await answer(http, lists(FLAGS))
        await answer(http, histories(FLAGS, events))
        await answer(http, past(FLAGS, events))
        await answer(http, undoing(FLAGS, events))
        print(f"{'floor: /healthz':40} {await ask(http, ['/healthz'] * 300)}")


def main() -> None:
    """Measure on uvloop."""
    uvloop.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS))


if __name__ == "__main__":
    main()
