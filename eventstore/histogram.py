"""How long things took, as counts by upper bound: plain integers, for a scrape to read."""

from __future__ import annotations

import math
from bisect import bisect_left

SECONDS = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
"""Bounds for what people wait for, in seconds."""


class Histogram:
    """Counts by upper bound, and their sum.

    Attributes:
        bounds: ascending; above the last of them nothing more is told apart.
        counts: how often a value lay above the bound before and not above this one; one more than
            there are bounds.
        sum: of all values.
    """

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...] = SECONDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value. One below zero, which only differing clocks can give, counts as 0."""
        value = max(value, 0.0)
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self.counts)

    def cumulative(self) -> list[tuple[str, int]]:
        """Upper bounds as text, each with how many values are not above it; the last is +Inf."""
        total, rows = 0, []
        for bound, count in zip((*self.bounds, math.inf), self.counts, strict=True):
            total += count
            rows.append(("+Inf" if bound == math.inf else repr(float(bound)), total))
        return rows
