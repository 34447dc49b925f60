"""The first evaluations after a change: of one flag, and of a segment that 100 of 1,000 flags name.

All flags were settled before. A change is the evaluator of the next ruleset, which follows on from
the present one. The floor is the copy of the dictionary of flags, which a new ruleset needs.

Does not measure the reading of what changed, nor its way through the stream.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass, field
from statistics import median

from halyard_protocol.codec import decode_flag, decode_segment, encode
from halyard_protocol.evaluator import Evaluator
from halyard_protocol.ruleset import Ruleset

from benchmarks.evaluate.engines.halyard import SEGMENT_DOCUMENT
from benchmarks.evaluate.question import SEGMENT
from benchmarks.evaluate.variety import (
    EARLY,
    OTHER_SEGMENT,
    alike,
    early_us,
    middle_and_high,
    ruleset_of,
    settle,
    settling_us,
    timed_us,
)

FLAGS = 1_000
NAMING = 100
"""Flags that name the segment that changes."""

CHANGES = 50


@dataclass
class Times:
    """Of each change, in us."""

    following: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    costliest: list[float] = field(default_factory=list)
    settling: list[float] = field(default_factory=list)
    untouched: list[float] = field(default_factory=list)

    def after(self, evaluator: Evaluator, touched: list[str]) -> None:
        """Evaluate what the change touched, and a flag that it did not."""
        self.untouched.append(early_us(evaluator, f"flag-{FLAGS - 1}")[0])
        for key in touched:
            early, late = early_us(evaluator, key), early_us(evaluator, key)
            self.first.append(early[0])
            self.costliest.append(max(early))
            self.settling.append(settling_us(early, late))

    def show(self, what: str) -> None:
        """One line each."""
        print(what)
        print(f"  the evaluator that follows               {middle_and_high(self.following)}")
        print(f"  first evaluation of what was touched     {middle_and_high(self.first)}")
        print(f"  the costliest of the first {EARLY}            {middle_and_high(self.costliest)}")
        print(f"  what the first {EARLY} cost more than after   {middle_and_high(self.settling)}")
        print(f"  first evaluation of an untouched flag    {middle_and_high(self.untouched)}")


def change_flags(evaluator: Evaluator) -> Evaluator:
    """One flag after the other gets another rule."""
    times = Times()
    for revision in range(1, CHANGES + 1):
        old = evaluator.ruleset
        flag = decode_flag(encode(alike(revision, revision=revision)))
        following = Ruleset(old.environment, {**old.flags, flag.key: flag}, old.segments)
        evaluator, took = timed_us(lambda: evaluator.following(following))  # noqa: B023
        times.following.append(took)
        times.after(evaluator, [flag.key])
    times.show(f"{CHANGES} changes of one flag among {FLAGS:,}")
    return evaluator


def change_segment(evaluator: Evaluator) -> Evaluator:
    """Somebody joins the segment, again and again."""
    times = Times()
    naming = [f"flag-{number}" for number in range(NAMING)]
    for revision in range(1, CHANGES + 1):
        old = evaluator.ruleset
        included = [{"keys": [f"user-{number}" for number in range(revision, 1_000, 5)]}]
        document = SEGMENT_DOCUMENT | {"included": included, "version": revision}
        segments = {**old.segments, SEGMENT: decode_segment(encode(document))}
        following = Ruleset(old.environment, old.flags, segments)
        evaluator, took = timed_us(lambda: evaluator.following(following))  # noqa: B023
        times.following.append(took)
        times.after(evaluator, naming)
    times.show(f"{CHANGES} changes of a segment that {NAMING} flags name, per flag")
    return evaluator


def main() -> None:
    """Flags first, then the segment."""
    flags = [alike(n, SEGMENT if n < NAMING else OTHER_SEGMENT) for n in range(FLAGS)]
    evaluator = Evaluator(ruleset_of(flags))
    settle(evaluator)
    gc.collect()
    gc.freeze()
    copies = [timed_us(lambda: dict(evaluator.ruleset.flags))[1] for _ in range(CHANGES)]
    print(f"a copy of a dictionary of {FLAGS:,} flags takes {median(copies):.1f} us (floor)")
    change_segment(change_flags(evaluator))


if __name__ == "__main__":
    main()
