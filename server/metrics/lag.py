"""From a commit to the sockets, stage by stage, as far as this process sees it.

The stages of all roles are one metric, so they are told in one place.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.metrics_core import Metric

from eventstore.histogram import Histogram
from projections.counters import ProjectorCounters
from server.metrics.families import histograms
from streaming.counters import Counters


class LagFigures:
    """What the projector and the gateway measured; None for a role that this process lacks."""

    def __init__(self, projector: ProjectorCounters | None, gateway: Counters | None) -> None:
        self._projector = projector
        self._gateway = gateway

    def collect(self) -> Iterable[Metric]:
        """See :class:`~server.metrics.exposition.Figures`."""
        yield histograms(
            "halyard_lag_stage_seconds",
            "How long a delta took; `stage` is fold, apply, hear, first_write or last_write.",
            ("stage",),
            self._stages(),
        )
        whole = [] if self._gateway is None else [((), self._gateway.commit_to_write_s)]
        says = "From the commit of a delta's oldest change until every socket was written."
        yield histograms("halyard_lag_seconds", says, (), whole)

    def _stages(self) -> Iterable[tuple[tuple[str], Histogram]]:
        if self._projector is not None:
            yield ("fold",), self._projector.fold_s
            yield ("apply",), self._projector.apply_s
        if self._gateway is not None:
            yield ("hear",), self._gateway.hear_s
            yield ("first_write",), self._gateway.first_write_s
            yield ("last_write",), self._gateway.last_write_s
