"""How long to wait before the next attempt to connect."""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST_CEILING_S = 0.1
LAST_CEILING_S = 20.0
HEALTHY_AFTER_S = 60.0
"""A connection that held for this long ends a series of failures."""
LATER_S = 30.0
"""Over a limit: what it is about does not change from one second to the next."""
LONGEST_RETRY_AFTER_S = 300.0
"""No server may send an SDK away for longer."""
RETRY_AFTER_SPREAD_S = 1.0
"""The server names whole seconds; those whom it tells the same do not come back as one."""


class Backoff:
    """Full jitter: each wait is anything between nothing and a ceiling that doubles.

    So that a thousand SDKs that lost the same server do not come back as one. The formula is
    from "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
    """

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._ceiling_s = FIRST_CEILING_S

    def next_s(self, retry_after_s: float | None = None) -> float:
        """The wait before the next attempt.

        Where the server named it that is what counts, with a little jitter, and no waits grow by
        it: a server that sends many away tells each when to come.
        """
        if retry_after_s is not None and retry_after_s > 0:
            spread_s = self._chance() * RETRY_AFTER_SPREAD_S
            return min(retry_after_s, LONGEST_RETRY_AFTER_S) + spread_s
        wait_s = self._chance() * self._ceiling_s
        self._ceiling_s = min(LAST_CEILING_S, self._ceiling_s * 2)
        return wait_s

    def later_s(self) -> float:
        """The wait after a limit was reached: half to one and a half of :data:`LATER_S`."""
        return LATER_S * (0.5 + self._chance())

    def healthy(self) -> None:
        """A connection has held: begin again with short waits."""
        self._ceiling_s = FIRST_CEILING_S
