"""Logins, by what became of them."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.metrics_core import Metric

from server.logins.counters import LoginCounters
from server.metrics.families import counters


class LoginFigures:
    """Who came in, and who did not."""

    def __init__(self, of: LoginCounters) -> None:
        self._of = of

    def collect(self) -> Iterable[Metric]:
        """See :class:`~server.metrics.exposition.Figures`."""
        yield counters(
            "halyard_logins",
            "Attempts to log in by password; by `outcome`: accepted, refused, throttled, "
            "overloaded; reused is a refresh token that came twice and ended its login.",
            "outcome",
            {outcome: float(count) for outcome, count in self._of.logins.items()},
        )
