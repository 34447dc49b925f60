"""Metrics from plain counters and histograms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from eventstore.histogram import Histogram


def counter(name: str, says: str, value: float) -> Metric:
    """One number that only grows; ``name`` without ``_total``."""
    return CounterMetricFamily(name, says, value=value)


def counters(name: str, says: str, label: str, values: Mapping[str, float]) -> Metric:
    """Numbers that only grow, by the values of one label."""
    family = CounterMetricFamily(name, says, labels=[label])
    for named, value in values.items():
        family.add_metric([named], value)
    return family


def gauge(name: str, says: str, value: float | None) -> Metric:
    """One number as it is; None where there is none at present."""
    return GaugeMetricFamily(name, says, value=value)


def gauges(name: str, says: str, label: str, values: Mapping[str, float]) -> Metric:
    """Numbers as they are, by the values of one label."""
    family = GaugeMetricFamily(name, says, labels=[label])
    for named, value in values.items():
        family.add_metric([named], value)
    return family


def histogram(name: str, says: str, of: Histogram) -> Metric:
    """One distribution."""
    return histograms(name, says, (), [((), of)])


def histograms(
    name: str,
    says: str,
    labels: Sequence[str],
    by: Iterable[tuple[Sequence[str], Histogram]],
) -> Metric:
    """Distributions, by the values of some labels."""
    family = HistogramMetricFamily(name, says, labels=labels)
    for named, of in by:
        family.add_metric(named, of.cumulative(), of.sum)
    return family
