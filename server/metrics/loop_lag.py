"""How late the event loop runs what is due: one timer, twice a second."""

from __future__ import annotations

import asyncio

from eventstore.histogram import Histogram

PERIOD_S = 0.5


class LoopLag:
    """A sampler; :attr:`late_s` tells what it found, in seconds."""

    def __init__(self, period_s: float = PERIOD_S) -> None:
        self.late_s = Histogram()
        self._period_s = period_s

    async def run(self) -> None:
        """Sample until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + self._period_s
            await asyncio.sleep(self._period_s)
            self.late_s.observe(loop.time() - due_s)
