"""The text that a scrape gets.

Of the library only what writes the formats. Its registry would ask under a lock for what this asks
for in turn, and its default one is a global that any import may add to.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Protocol

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics

KEPT_S = 1.0
"""How long an answer serves all who ask: whoever asks without end costs one text a second."""

_OPENMETRICS = "application/openmetrics-text"
_END = b"# EOF\n"
"""The last line of OpenMetrics."""


class Figures(Protocol):
    """A part of the process that has metrics."""

    def collect(self) -> Iterable[Metric]:
        """All of its metrics, as of now; those without a value yet as well.

        Each is complete when it is yielded: before the next the loop gets its turn.
        """
        ...


class _Only:
    """One metric, as the library's writers want it."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        return (self._metric,)


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
        self._figures = tuple(figures)
        self._texts: dict[bool, tuple[float, bytes]] = {}
        """By whether it is OpenMetrics: when it was written, and the text."""
        self._writing = asyncio.Lock()

    async def text(self, accept: str) -> tuple[bytes, bytes]:
        """Content type and text, by the request's ``Accept``.

        OpenMetrics 1.0.0 for who names it, otherwise Prometheus's own format, version 0.0.4.
        """
        is_open = _OPENMETRICS in accept.lower()
        content_type = openmetrics.CONTENT_TYPE_LATEST if is_open else CONTENT_TYPE_PLAIN_0_0_4
        async with self._writing:  # who comes meanwhile gets the same
            written_s, text = self._texts.get(is_open, (float("-inf"), b""))
            if time.monotonic() - written_s >= self._kept_s:
                text = await self._written(is_open=is_open)
                self._texts[is_open] = (time.monotonic(), text)
        return content_type.encode(), text

    async def _written(self, *, is_open: bool) -> bytes:
        parts: list[bytes] = []
        for figures in self._figures:
            for metric in figures.collect():
                parts.append(_write(metric, is_open=is_open))
                # All of it can take 15 ms, which no broadcast should have to wait for.
                await asyncio.sleep(0)
        return b"".join((*parts, _END)) if is_open else b"".join(parts)


def _write(metric: Metric, *, is_open: bool) -> bytes:
    if is_open:
        text: bytes = openmetrics.generate_latest(_Only(metric))  # type: ignore[no-untyped-call]
        return text.removesuffix(_END)
    return generate_latest(_Only(metric))
