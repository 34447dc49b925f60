"""The projector: how far behind its logs are, and what became of their rulesets."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nlargest

from prometheus_client.metrics_core import Metric

from projections.log_projector import LogLag
from projections.runner import Projector
from server.metrics.families import counter, counters, gauge, gauges

NAMED_LOGS = 100
"""Of more than these, those that are furthest behind are named."""


class ProjectorFigures:
    """The projector of this process.

    Args:
        projector: running.
        naming: whether projects may be named to who reads this.
    """

    def __init__(self, projector: Projector, *, naming: bool) -> None:
        self._projector = projector
        self._naming = naming

    def collect(self) -> Iterable[Metric]:
        """See :class:`~server.metrics.exposition.Figures`."""
        lags = self._projector.lags()
        yield from self._totals(lags)
        yield from self._by_log(lags)
        yield from self._counted()

    def _totals(self, lags: list[LogLag]) -> Iterable[Metric]:
        states = {
            "poisoned": sum(lag.poisoned for lag in lags),
            "troubled": sum(lag.troubled for lag in lags),
        }
        yield gauge("halyard_projector_logs", "Logs that this process projects.", len(lags))
        yield gauges(
            "halyard_projector_logs_stopped",
            "Logs that do not get on; `reason` is poisoned, or troubled by a server.",
            "reason",
            states,
        )
        yield gauge(
            "halyard_projector_lag_events",
            "Events that were not folded yet, of the log that has the most of them.",
            max((lag.events for lag in lags), default=0),
        )
        yield gauge(
            "halyard_projector_lag_seconds",
            "For how long the log that is behind for longest was not brought to its end.",
            max((lag.seconds for lag in lags), default=0.0),
        )

    def _by_log(self, lags: list[LogLag]) -> Iterable[Metric]:
        worst = nlargest(NAMED_LOGS, lags, key=lambda lag: lag.seconds) if self._naming else []
        yield gauges(
            "halyard_projector_log_lag_events",
            "The same of each `log`; only with a token, and of 100 logs at most.",
            "log",
            {lag.log_id: lag.events for lag in worst},
        )
        yield gauges(
            "halyard_projector_log_lag_seconds",
            "For how long each `log` is behind; only with a token, and of 100 logs at most.",
            "log",
            {lag.log_id: lag.seconds for lag in worst},
        )

    def _counted(self) -> Iterable[Metric]:
        of = self._projector.counters
        answers = {answer.lower(): count for answer, count in of.updates.items()}
        outcomes = {outcome.lower(): count for outcome, count in of.builds.items()}
        yield counter("halyard_projector_events", "Events folded.", of.events)
        yield counters(
            "halyard_projector_updates",
            "Updates of rulesets; `answer` is applied, duplicate, gap, fork or moved.",
            "answer",
            answers,
        )
        yield counters(
            "halyard_projector_builds",
            "Rulesets built anew; `outcome` is swapped, or why it was for nothing.",
            "outcome",
            outcomes,
        )
        for name, says, count in (
            ("failed_rounds", "Rounds that PostgreSQL or Redis failed.", of.failed_rounds),
            ("forks", "Histories that were not the one that had been folded.", of.forks),
            ("poisonings", "Stops before an event that cannot be applied.", of.poisonings),
            ("tombstones_pruned", "Tombstones dropped after their time.", of.tombstones),
        ):
            yield counter(f"halyard_projector_{name}", says, count)
