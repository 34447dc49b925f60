"""What the write path counts since the start: plain integers, for metrics to read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from domain.errors import Refusal
from eventstore.histogram import Histogram
from server.writing.errors import Overloaded

BATCHES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 256.0)
"""Bounds of how many submissions were settled together."""


@dataclass(slots=True)
class WritingCounters:
    """All of them only grow."""

    commands: Counter[str] = field(default_factory=Counter)
    """Commands, by what became of their submission: accepted, refused, overloaded, failed."""
    refusals: Counter[str] = field(default_factory=Counter)
    """Submissions that the domain refused, by the class of the refusal."""
    batches: Histogram = field(default_factory=lambda: Histogram(BATCHES))
    """Submissions that were settled together."""
    answer_s: Histogram = field(default_factory=Histogram)
    """From a submission to its answer, whichever that was."""

    def settled(self, commands: int, took_s: float, error: BaseException | None = None) -> None:
        """A submission of so many commands was answered, with ``error`` or without."""
        self.commands[_outcome(error)] += commands
        self.answer_s.observe(took_s)
        if isinstance(error, Refusal):
            self.refusals[type(error).__name__] += 1


def _outcome(error: BaseException | None) -> str:
    match error:
        case None:
            return "accepted"
        case Refusal():
            return "refused"
        case Overloaded():
            return "overloaded"
        case _:
            return "failed"
