"""What a scrape says, read by the parsers of Prometheus's own library."""

from __future__ import annotations

from collections.abc import Mapping

import httpx
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as read_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as read_plain

from server.metrics.exposition import Exposition, Figures

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Scrape:
    """One answer of ``/metrics``."""

    def __init__(self, text: str, content_type: str) -> None:
        read = read_openmetrics if content_type.startswith("application/openm") else read_plain
        self.metrics: dict[str, Metric] = {metric.name: metric for metric in read(text)}
        self._samples: Mapping[tuple[str, frozenset[tuple[str, str]]], float] = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for metric in self.metrics.values()
            for sample in metric.samples
        }

    def get(self, name: str, **labels: str) -> float | None:
        """A sample; None where there is none."""
        return self._samples.get((name, frozenset(labels.items())))

    def __call__(self, name: str, **labels: str) -> float:
        """A sample, or 0 where nothing of this kind was counted yet."""
        return self.get(name, **labels) or 0.0


async def scrape_of(*figures: Figures, accept: str = OPENMETRICS) -> Scrape:
    """What these parts of a process tell at this moment."""
    content_type, text = await Exposition(figures, kept_s=0).text(accept)
    return Scrape(text.decode(), content_type.decode())


async def scraped(http: httpx.AsyncClient, token: str = "", accept: str = OPENMETRICS) -> Scrape:
    """What a server tells, at most a second old."""
    headers = {"accept": accept} | ({"authorization": f"Bearer {token}"} if token else {})
    response = await http.get("/metrics", headers=headers)
    assert response.status_code == 200, response.text
    return Scrape(response.text, response.headers["content-type"])
