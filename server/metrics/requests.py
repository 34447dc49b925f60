"""HTTP requests, by route."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.metrics_core import CounterMetricFamily, Metric

from server.http.counters import HttpCounters
from server.metrics.families import gauge, histograms


class RequestFigures:
    """What the API answered, and how soon."""

    def __init__(self, counters: HttpCounters) -> None:
        self._counters = counters

    def collect(self) -> Iterable[Metric]:
        """See :class:`~server.metrics.exposition.Figures`."""
        of = self._counters
        yield gauge(
            "halyard_http_requests_in_flight", "Requests that are being answered.", of.in_flight
        )
        answers = CounterMetricFamily(
            "halyard_http_requests",
            "Requests answered; by `method`, `route` (its template) and `status` (as 2xx).",
            labels=["method", "route", "status"],
        )
        for (asked, digit), count in of.answers.items():
            answers.add_metric([*asked, f"{digit}xx"], count)
        yield answers
        yield histograms(
            "halyard_http_request_duration_seconds",
            "From the head of a request to the head of its answer; by `method` and `route`.",
            ("method", "route"),
            of.answer_s.items(),
        )
