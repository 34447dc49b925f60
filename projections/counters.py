"""What the projector of one process counts since it started: plain integers, for metrics to read.

Nothing decides by them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from eventstore.histogram import Histogram


@dataclass(slots=True)
class ProjectorCounters:
    """All of them only grow."""

    events: int = 0
    """Folded."""
    updates: Counter[str] = field(default_factory=Counter)
    """Updates of rulesets, by the script's answer: APPLIED, DUPLICATE, GAP, FORK, MOVED."""
    builds: Counter[str] = field(default_factory=Counter)
    """Rulesets built from the beginning, by how that ended."""
    failed_rounds: int = 0
    """Rounds that ended with trouble with PostgreSQL or Redis."""
    forks: int = 0
    """Histories that turned out to be another than the one that was folded, or is in Redis."""
    poisonings: int = 0
    """Events at which a log had to stop."""
    tombstones: int = 0
    """Dropped, after their time."""
    fold_s: Histogram = field(default_factory=Histogram)
    """From the commit of a delta's oldest change until it was folded here."""
    apply_s: Histogram = field(default_factory=Histogram)
    """From there until Redis had applied the delta."""
