"""Webhooks: what became of deliveries, and what waits."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.metrics_core import Metric

from server.metrics.families import counter, counters, gauge, histogram
from server.webhooks.counters import WebhookCounters


class WebhookFigures:
    """Those of this process; no address and no project is named."""

    def __init__(self, counters: WebhookCounters) -> None:
        self._counters = counters

    def collect(self) -> Iterable[Metric]:
        """See :class:`~server.metrics.exposition.Figures`."""
        of = self._counters
        yield counters(
            "halyard_webhook_attempts",
            "Deliveries attempted; `outcome` is delivered, failed or gone.",
            "outcome",
            of.attempts,
        )
        yield counter("halyard_webhook_events", "Events that receivers accepted.", of.events)
        yield counters(
            "halyard_webhooks_disabled",
            "Webhooks that were given up; `reason` is gone (410) or dead.",
            "reason",
            of.disabled,
        )
        yield counter(
            "halyard_webhook_faults",
            "Turns that ended in a fault of the database or of this program.",
            of.faults,
        )
        yield histogram(
            "halyard_webhook_attempt_duration_seconds",
            "From a request to the first of its answer, or to giving it up.",
            of.attempt_s,
        )
        for name, says, value in (
            ("busy", "Webhooks that this process works on at present.", of.busy),
            ("behind", "Webhooks, of all processes, that the log is ahead of.", of.behind),
            ("failing", "Webhooks, of all processes, whose last attempt failed.", of.failing),
            (
                "failing_seconds",
                "For how long the one of them has failed that has failed for longest.",
                of.failing_s,
            ),
        ):
            yield gauge(f"halyard_webhooks_{name}", says, value)
