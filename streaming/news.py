"""How long the news of one delta take, from its commit to the sockets.

Measured once per round, never per connection. What was written is handed to the kernel after the
step of the loop that wrote it (uvloop collects writes until then), so the times are taken by the
step after that.
"""

from __future__ import annotations

import time

from streaming.counters import Counters


class News:
    """The oldest delta of a round: when it was committed and heard, and what became of it since."""

    __slots__ = ("_committed_us", "_counters", "_first_s", "_heard_s", "written")

    def __init__(self, counters: Counters, committed_us: int) -> None:
        self.written = 0
        """Sockets so far."""
        self._counters = counters
        self._committed_us = committed_us
        self._heard_s = time.perf_counter()
        self._first_s = 0.0

    def begun(self) -> None:
        """The first slice of the round is in the kernel."""
        if self.written and not self._first_s:
            self._first_s = time.perf_counter()
            self._counters.first_write_s.observe(self._first_s - self._heard_s)

    def ended(self) -> None:
        """The last slice of the round is in the kernel."""
        self.begun()
        if self.written:
            self._counters.last_write_s.observe(time.perf_counter() - self._first_s)
        if self.written and self._committed_us:
            self._counters.commit_to_write_s.observe(time.time() - self._committed_us / 1_000_000)
