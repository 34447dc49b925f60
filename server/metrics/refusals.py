"""What accounts were refused, and how much of it is remembered."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.metrics_core import Metric

from server.metrics.families import counters
from server.refusals import RefusalKeeper


class RefusalFigures:
    """Those of this process."""

    def __init__(self, keeper: RefusalKeeper) -> None:
        self._keeper = keeper

    def collect(self) -> Iterable[Metric]:
        """See :class:`~server.metrics.exposition.Figures`."""
        yield counters(
            "halyard_refused_actions",
            "Requests of accounts that lacked a permission; `outcome` is recorded or lost.",
            "outcome",
            {"recorded": self._keeper.recorded, "lost": self._keeper.lost},
        )
