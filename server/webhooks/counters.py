"""What became of deliveries, as plain numbers."""

from __future__ import annotations

from collections import Counter

from eventstore.histogram import Histogram


class WebhookCounters:
    """Of one process.

    Attributes:
        attempts: by outcome: delivered, failed, gone, refused (a network that is not allowed).
        disabled: webhooks that were given up, by reason: gone or dead.
        events: events that were accepted.
        attempt_s: how long attempts took.
        faults: rounds that ended in a fault of this program, or of the database.
        busy: webhooks that are being worked on at present.
        behind, failing, failing_s: of all processes, as last looked at.
    """

    def __init__(self) -> None:
        self.attempts: Counter[str] = Counter()
        self.disabled: Counter[str] = Counter()
        self.events = 0
        self.attempt_s = Histogram()
        self.faults = 0
        self.busy = 0
        self.behind = 0
        self.failing = 0
        self.failing_s = 0.0
