"""What is told of deliveries: numbers, and nobody's address."""

from __future__ import annotations

from server.metrics.webhooks import WebhookFigures
from server.webhooks.counters import WebhookCounters
from tests.support.scraping import scrape_of


async def test_deliveries_are_told_by_outcome() -> None:
    counters = WebhookCounters()
    counters.attempts.update({"delivered": 3, "failed": 2})
    counters.disabled["gone"] = 1
    counters.events, counters.faults, counters.busy = 7, 1, 2
    counters.behind, counters.failing, counters.failing_s = 4, 1, 60.0
    counters.attempt_s.observe(0.2)
    scrape = await scrape_of(WebhookFigures(counters))
    assert scrape("halyard_webhook_attempts_total", outcome="delivered") == 3
    assert scrape("halyard_webhook_attempts_total", outcome="failed") == 2
    assert scrape("halyard_webhooks_disabled_total", reason="gone") == 1
    assert scrape("halyard_webhook_events_total") == 7
    assert scrape("halyard_webhook_faults_total") == 1
    assert scrape("halyard_webhook_attempt_duration_seconds_count") == 1
    assert scrape("halyard_webhooks_busy") == 2
    assert scrape("halyard_webhooks_behind") == 4
    assert scrape("halyard_webhooks_failing") == 1
    assert scrape("halyard_webhooks_failing_seconds") == 60
