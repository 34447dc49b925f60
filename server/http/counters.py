"""What the HTTP API counts since the start: plain integers, for metrics to read.

By the template of a route, never by a path: anybody may make up paths.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from eventstore.histogram import Histogram

ANSWER_S = (0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0)
"""Bounds of the time to an answer: fewer than elsewhere, for there are many routes."""


class Asked(NamedTuple):
    """What a request came for: a route, or nothing that there is."""

    method: str
    route: str


UNROUTED = Asked("-", "-")


@dataclass(slots=True)
class HttpCounters:
    """All of them only grow, but for ``in_flight``."""

    in_flight: int = 0
    """Requests that are being answered."""
    answers: Counter[tuple[Asked, int]] = field(default_factory=Counter)
    """By what was asked and the first digit of the status."""
    answer_s: dict[Asked, Histogram] = field(default_factory=dict)
    """From the request's head to the head of the answer: how fast the client reads, or how long a
    stream of events lasts, is not ours."""

    def answered(self, asked: Asked, status: int, took_s: float) -> None:
        """The head of an answer is ready."""
        self.answers[asked, status // 100] += 1
        histogram = self.answer_s.get(asked)
        if histogram is None:
            histogram = self.answer_s[asked] = Histogram(ANSWER_S)
        histogram.observe(took_s)
