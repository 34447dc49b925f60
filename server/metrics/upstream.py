"""What SDKs send back, and what of it is lost."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.metrics_core import Metric

from server.metrics.families import counter, counters, gauge
from streaming.gateway import Gateway


class UpstreamFigures:
    """The counts of this process's gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def collect(self) -> Iterable[Metric]:
        """See :class:`~server.metrics.exposition.Figures`."""
        gateway, of = self._gateway, self._gateway.counters
        yield counters(
            "halyard_upstream_exposures",
            "Evaluations that SDKs told of; `result` is accepted or refused.",
            "result",
            {"accepted": of.exposures.total(), "refused": of.exposures_refused},
        )
        for what in ("exposures", "events"):
            lost = {reason: n for (kind, reason), n in of.upstream_lost.items() if kind == what}
            yield counters(
                f"halyard_upstream_lost_{what}",
                f"Those {what} that were not counted; `reason` says why.",
                "reason",
                lost,
            )
        yield counter("halyard_upstream_batches", "Batches of counts written.", of.upstream_batches)
        yield counter(
            "halyard_upstream_failures",
            "Attempts to write one that failed, to be made again.",
            of.upstream_failures,
        )
        yield gauge(
            "halyard_upstream_waiting",
            "Sums that wait for the next batch.",
            gateway.upstream.waiting,
        )
