"""The text that a scrape gets.

A registry of our own: the library's default one is a global that any import may add to.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Protocol

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import CollectorRegistry

KEPT_S = 1.0
"""How long an answer serves all who ask: whoever asks without end costs one text a second."""

_OPENMETRICS = "application/openmetrics-text"


class Figures(Protocol):
    """A part of the process that has metrics."""

    def collect(self) -> Iterable[Metric]:
        """All of its metrics, as of now; those without a value yet as well."""
        ...


class _Quiet:
    """A collector that is not asked when it is registered: nothing runs yet by then."""

    def __init__(self, figures: Figures) -> None:
        self.collect = figures.collect

    def describe(self) -> Iterable[Metric]:
        return ()


class Exposition:
    """Everything that this process tells monitoring.

    Args:
        figures: the parts that have metrics.
        token: what is to be shown for them; empty where anybody may read.
        kept_s: see :data:`KEPT_S`.
    """

    def __init__(
        self, figures: Iterable[Figures], *, token: str = "", kept_s: float = KEPT_S
    ) -> None:
        self.token = token
        self._kept_s = kept_s
        self._registry = CollectorRegistry()
        for each in figures:
            self._registry.register(_Quiet(each))
        self._texts: dict[bool, tuple[float, bytes]] = {}
        """By whether it is OpenMetrics: when it was written, and the text."""

    async def text(self, accept: str) -> tuple[bytes, bytes]:
        """Content type and text, by the request's ``Accept``.

        OpenMetrics 1.0.0 for who names it, otherwise Prometheus's own format, version 0.0.4.
        """
        is_open = _OPENMETRICS in accept.lower()
        written_s, text = self._texts.get(is_open, (float("-inf"), b""))
        if time.monotonic() - written_s >= self._kept_s:
            await asyncio.sleep(0)  # whatever was due before the scrape goes before it
            text = _write(self._registry, is_open=is_open)
            self._texts[is_open] = (time.monotonic(), text)
        content_type = openmetrics.CONTENT_TYPE_LATEST if is_open else CONTENT_TYPE_PLAIN_0_0_4
        return content_type.encode(), text


def _write(registry: CollectorRegistry, *, is_open: bool) -> bytes:
    if is_open:
        text: bytes = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]
        return text
    return generate_latest(registry)
