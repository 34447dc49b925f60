"""The text of a scrape: its format, its age, what it never names."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from prometheus_client.metrics_core import Metric

from eventstore.histogram import Histogram
from server.metrics.exposition import Exposition
from server.metrics.families import counter, counters, gauge, histogram
from server.metrics.loop_lag import LoopLag
from server.metrics.process import ProcessFigures
from tests.support.scraping import OPENMETRICS, Scrape, scrape_of


class Counting:
    """Counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def collect(self) -> Iterable[Metric]:
        self.asked += 1
        yield counter("halyard_asked", "Scrapes.", self.asked)
        yield gauge("halyard_nothing", "None at present.", None)
        yield counters("halyard_words", "Words.", "word", {'a "b"\n\\': 2})


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain;version=nonsense", "text/plain; version=0.0.4; charset=utf-8"),
        (OPENMETRICS, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        (
            "application/openmetrics-text;version=x\xff;q=0.6,text/plain;q=0.5",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
    ],
)
async def test_the_format_is_the_one_that_was_asked_for(accept: str, content_type: str) -> None:
    written, text = await Exposition([Counting()]).text(accept)
    assert written.decode() == content_type
    scrape = Scrape(text.decode(), content_type)
    assert scrape("halyard_asked_total") == 1
    assert scrape("halyard_words_total", word='a "b"\n\\') == 2
    assert scrape.get("halyard_nothing") is None
    assert "halyard_nothing" in scrape.metrics


async def test_who_asks_without_end_gets_the_same_text() -> None:
    figures = Counting()
    exposition = Exposition([figures], kept_s=60)
    assert figures.asked == 0
    assert len({await exposition.text("") for _ in range(50)}) == 1
    assert len({await exposition.text(OPENMETRICS) for _ in range(50)}) == 1
    assert figures.asked == 2


async def test_who_asks_at_once_gets_the_same_text_and_nobody_has_to_wait_for_it() -> None:
    figures = Counting()
    exposition = Exposition([figures], kept_s=60)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    texts = await asyncio.gather(*(exposition.text(OPENMETRICS) for _ in range(50)))
    beside.cancel()
    assert (len(set(texts)), figures.asked) == (1, 1)
    assert turns >= 3  # one for each metric


async def test_later_a_text_is_written_anew() -> None:
    exposition = Exposition([Counting()], kept_s=0)
    assert await exposition.text("") != await exposition.text("")


async def test_a_process_tells_of_itself() -> None:
    lag = LoopLag()
    lag.late_s.observe(0.002)
    scrape = await scrape_of(ProcessFigures(lag, ("gateway", "projector")))
    (build,) = scrape.metrics["halyard_build"].samples
    assert (build.labels["roles"], build.value) == ("gateway,projector", 1)
    assert scrape("process_cpu_seconds_total") > 0
    assert scrape("process_resident_memory_bytes") > 10_000_000
    assert 3 <= scrape("process_open_fds") <= scrape("process_max_fds")
    assert scrape("halyard_event_loop_lag_seconds_count") == 1
    assert scrape("halyard_event_loop_lag_seconds_bucket", le="0.0025") == 1
    assert scrape("halyard_event_loop_lag_seconds_bucket", le="0.001") == 0


async def test_a_histogram_reads_as_its_values() -> None:
    of = Histogram((0.1, 1.0))
    for value in (-3.0, 0.1, 0.5, 7.0):
        of.observe(value)

    class One:
        def collect(self) -> Iterable[Metric]:
            yield histogram("halyard_h_seconds", "H.", of)

    scrape = await scrape_of(One())
    assert [scrape("halyard_h_seconds_bucket", le=le) for le in ("0.1", "1.0", "+Inf")] == [2, 3, 4]
    assert scrape("halyard_h_seconds_sum") == pytest.approx(7.6)
    assert of.count == scrape("halyard_h_seconds_count") == 4
