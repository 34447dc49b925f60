"""What a scenario promised, what was seen, and the exit status that follows."""

from __future__ import annotations

import argparse
import asyncio
import sys
import traceback
from collections.abc import Awaitable, Callable

import uvloop

MISSED, FAILED = 1, 3


class Goals:
    """Prints each figure as it comes, and remembers whether a goal was missed."""

    def __init__(self) -> None:
        self.missed: list[str] = []

    def note(self, text: str) -> None:
        """Something seen of which nothing was promised."""
        print(f"        {text}", flush=True)

    def at_most(self, what: str, seen: float, limit: float, unit: str) -> None:
        """A figure that may be so large."""
        self._judge(what, f"{seen:,.4g} {unit}", f"<= {limit:g} {unit}", met=seen <= limit)

    def at_least(self, what: str, seen: float, limit: float, unit: str = "") -> None:
        """A figure that must be so large."""
        self._judge(what, f"{seen:,.4g} {unit}", f">= {limit:g} {unit}", met=seen >= limit)

    def exactly(self, what: str, seen: object, expected: object) -> None:
        """Something that is right or wrong."""
        self._judge(what, str(seen), str(expected), met=seen == expected)

    def _judge(self, what: str, seen: str, goal: str, *, met: bool) -> None:
        if not met:
            self.missed.append(what)
        print(f"{'ok' if met else 'MISSED':<7} {what}: {seen.strip()} (goal: {goal.strip()})",
              flush=True)  # fmt: skip


Scenario = Callable[[Goals, int], Awaitable[None]]


def run(scenario: Scenario, connections: int) -> None:
    """Run a scenario on uvloop as its module's program, and exit.

    The status is 0 where all goals were met, 1 where one was missed, 3 where the scenario failed
    or took longer than ``--within``.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--connections", type=int, default=connections)
    parser.add_argument("--within", type=float, default=600, help="seconds")
    options = parser.parse_args()
    goals = Goals()
    try:
        uvloop.run(_bounded(scenario(goals, options.connections), options.within))
    except Exception:  # noqa: BLE001 - a failed run is a result, and is printed as one
        traceback.print_exc()
        print("FAILED", flush=True)
        sys.exit(FAILED)
    sys.exit(MISSED if goals.missed else 0)


async def _bounded(scenario: Awaitable[None], within_s: float) -> None:
    async with asyncio.timeout(within_s):
        await scenario
