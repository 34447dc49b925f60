"""Lists of flags and segments, by every criterion and order: 10,000 flags x 3 environments.

The first page and a later one, on the big project with 500 segments, while nothing else is asked;
then once more while a flag changes before each question, which the index has to follow. The floor
is the same server answering bytes that are prepared: its own description, which is larger than a
page. The goal is 50 ms for 99 of 100 answers; beside it stands the processor's time of an answer,
which tells the same on a machine that has other things to do.
"""

from __future__ import annotations

import sys
from itertools import cycle

import httpx
import uvloop

from benchmarks.big_project.changes import flag_key, segment_key
from benchmarks.big_project.stage import Asked, ask, big_stage
from benchmarks.ofrep_bulk import processor_s
from benchmarks.server_stage import API, Stage

EVENTS = 60_000
"""Enough that the project is founded before its rare person does the first thing."""
TIMES = 100
GOAL_MS = 50

QUESTIONS = (
    "flags",
    "flags?sort=name",
    "flags?sort=-created",
    "flags?sort=-changed",
    "flags?limit=500",
    "flags?search=checkout",
    "flags?search=nobody-says-this",
    "flags?rules=checkout",
    "flags?rules=nobody-says-this",
    "flags?rules=nobody-says-this&environment=production",
    "flags?tag=checkout&state=enabled&environment=production",
    f"flags?segment={segment_key(7)}",
    "flags?staleness=stale",
    "flags?staleness=expired&archived=any",
    "flags?maintainer=account-40&sort=-name",
    "segments?sort=-name&used=true",
    "segments?search=nobody-says-this",
    f"segments/{segment_key(7)}/flags",
    f"flags/{flag_key(0)}/dependents",
    f"flags/{flag_key(1)}/dependencies",
)


async def later_page(http: httpx.AsyncClient, question: str) -> str:
    """The address of the third page, or of the last one where there are fewer."""
    address = f"{API}/{question}"
    for _ in range(2):
        cursor = (await http.get(address)).json()["nextCursor"]
        if cursor is None:
            break
        sign = "&" if "?" in question else "?"
        address = f"{API}/{question}{sign}cursor={cursor}"
    return address


async def asked_amid_changes(http: httpx.AsyncClient, address: str) -> Asked:
    """Only the questions are timed, each after another flag was enabled or disabled."""
    took: list[Asked] = []
    for number, what in zip(range(TIMES), cycle(("enable", "disable")), strict=False):
        path = f"{API}/flags/{flag_key(number // 2)}/environments/staging/{what}"
        (await http.post(path)).raise_for_status()
        took.append(await ask(http, [address]))
    worst = sorted(each.worst for each in took)
    last = len(worst) - 1
    p50, p99 = worst[last // 2], worst[min(last, len(worst) * 99 // 100)]
    return Asked(p50, p99, worst[-1], max(each.bytes for each in took))


async def timed(stage: Stage, http: httpx.AsyncClient, name: str, address: str) -> Asked:
    """Ask a hundred times, and print a line."""
    before_s = processor_s(stage.process.pid)
    found = await ask(http, [address] * TIMES)
    each_ms = (processor_s(stage.process.pid) - before_s) / TIMES * 1e3
    show(f"{name:56} {each_ms:5.1f} ms of processor", found)
    return found


def show(name: str, found: Asked) -> None:
    """One line."""
    verdict = "" if found.p99 <= GOAL_MS else "MISSED"
    print(f"{name:78} {found} {verdict}", flush=True)


async def measure() -> None:
    """Every question, and the floor before and after."""
    async with big_stage(events=EVENTS) as stage, stage.api() as http:
        first = await ask(http, [f"{API}/flags"])
        print(f"the very first list, which folds the log and makes the index: {first.worst:.0f} ms")
        floor = await timed(stage, http, "floor: bytes that are prepared", "/openapi.json")
        slowest = 0.0
        for question in QUESTIONS:
            pages = dict.fromkeys((f"{API}/{question}", await later_page(http, question)))
            for page, which in zip(pages, ("", " (a later page)"), strict=False):
                found = await timed(stage, http, question + which, page)
                slowest = max(slowest, found.p99)
        for question in ("flags", "flags?rules=nobody-says-this", "flags?sort=-changed"):
            found = await asked_amid_changes(http, f"{API}/{question}")
            show(f"{question} (a flag changed just before)", found)
            slowest = max(slowest, found.p99)
        print(f"ratio: {slowest / floor.p99:.1f} of the floor, the slowest p99 {slowest:.1f} ms")


def main() -> int:
    """Measure on uvloop."""
    uvloop.run(measure())
    return 0


if __name__ == "__main__":
    sys.exit(main())
