"""How much memory 10,000 flags take: as JSON, once read, and once all of them were evaluated.

Resident memory, in a process that has done nothing else; the floor is their JSON. Linux only. Does
not measure what an SDK keeps beside: each document as it came, to resume and to save it.
"""

from __future__ import annotations

import gc
import resource
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from halyard_protocol.codec import encode
from halyard_protocol.evaluator import Evaluator

from benchmarks.evaluate.question import DEFAULT
from benchmarks.evaluate.variety import (
    EARLY,
    NOW_MS,
    Json,
    alike,
    asking,
    ruleset_of,
    settle,
    unlike,
)

FLAGS = 10_000


def resident_bytes() -> int:
    """Of this process, after everything that could be collected was."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def footprint(flag: Callable[[int], Json]) -> dict[str, int]:
    """Bytes after each step; the documents are made one by one, so that they take none."""
    encoded = sum(len(encode(flag(number))) for number in range(FLAGS))
    ruleset_of([flag(number) for number in range(100)])
    asking()
    before = resident_bytes()
    ruleset = ruleset_of([])
    for number in range(FLAGS):
        ruleset.flags.update(ruleset_of([flag(number)]).flags)
    read = resident_bytes()
    evaluator = Evaluator(ruleset)
    for key in ruleset.flags:
        evaluator.detail(key, asking()[0], DEFAULT, NOW_MS)
    once = resident_bytes()
    settle(evaluator)
    return {
        "as JSON (floor)": encoded,
        "once read": read - before,
        "once each was evaluated": once - before,
        f"once each was evaluated {EARLY} times": resident_bytes() - before,
    }


def main() -> None:
    """Both sorts of flags, each in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        for what, flag in (("of one shape", alike), ("each of its own shape", unlike)):
            print(f"{FLAGS:,} flags {what}")
            for step, size in pool.submit(footprint, flag).result().items():
                each = size / FLAGS / 1024
                print(f"  {step:34}{size / 2**20:8.1f} MB, {each:.1f} KB each")


if __name__ == "__main__":
    main()
