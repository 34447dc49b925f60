"""What it costs to evaluate a flag for the first times: 1,000 different flags.

Once all of one shape, which differ in their constants only, and once each of its own shape. The
floor is what Python takes to compile the hand-written function, by its own compiler.

Does not measure the reading of the flags.
"""

from __future__ import annotations

import gc
import inspect
from collections.abc import Callable
from statistics import median

from halyard_protocol.evaluator import Evaluator

from benchmarks.evaluate.engines import handwritten
from benchmarks.evaluate.variety import (
    EARLY,
    Json,
    alike,
    early_us,
    middle_and_high,
    ruleset_of,
    settling_us,
    timed_us,
    unlike,
)

FLAGS = 1_000


def floor_us() -> float:
    """Compiling and defining the hand-written function."""
    source = inspect.getsource(handwritten.checkout)

    def compile_it() -> None:
        exec(compile(source, "floor", "exec", dont_inherit=True), {"Attributes": dict})

    return median(timed_us(compile_it)[1] for _ in range(FLAGS))


def measure(what: str, flag: Callable[[int], Json]) -> None:
    """The first evaluations of each flag, and as many after."""
    evaluator = Evaluator(ruleset_of([flag(number) for number in range(FLAGS)]))
    gc.collect()
    gc.freeze()
    first, costliest, settling, settled = [], [], [], []
    for key in evaluator.ruleset.flags:
        early, late = early_us(evaluator, key), early_us(evaluator, key)
        first.append(early[0])
        costliest.append(max(early))
        settling.append(settling_us(early, late))
        settled.append(median(late))
    print(f"{FLAGS:,} flags {what}")
    print(f"  the first evaluation                       {middle_and_high(first)}")
    print(f"  the costliest of the first {EARLY}              {middle_and_high(costliest)}")
    print(f"  what the first {EARLY} cost more than those after {middle_and_high(settling)}")
    print(f"  an evaluation after, with the stopwatch    {middle_and_high(settled)}")


def main() -> None:
    """Both sorts of flags."""
    print(f"Python compiles the hand-written function in {floor_us():.0f} us (floor)")
    measure("of one shape", alike)
    measure("each of its own shape", unlike)


if __name__ == "__main__":
    main()
