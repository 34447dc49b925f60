"""Who may come in: so many connections in all and per key, and so many handshakes a second.

Whoever is refused is told when to come back, each a time of its own: ten thousand who are sent away
at once must not come back as one. A bucket of tokens says when it will have one for the next in
line, and the line is remembered as one number: up to when its tokens are promised.

Nobody's place is kept, for nobody can be told apart: who comes back in time finds tokens, unless
others took them who came for the first time. With tokens for a whole second in store, those that
``Retry-After`` (whole seconds) brings back together find enough of them.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streaming.keys import SdkKey
    from streaming.settings import StreamSettings

LONGEST_WAIT_S = 30.0
"""Nobody is sent away for longer: what stood in line may be gone by then."""
FULL_WAIT_S = 10.0
"""For at least so long, where there is no room: it comes as others leave."""

_GOLDEN_RATIO = 0.618_033_988_75


class TokenBucket:
    """So many a second, and as many at once as come together in one.

    All times are seconds of the monotonic clock.
    """

    __slots__ = ("_at_s", "_burst", "_per_second", "_promised_s", "_refused", "_tokens")

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._burst = max(1.0, per_second)
        self._tokens = self._burst
        self._at_s = -math.inf
        self._promised_s = -math.inf
        """Until then, tokens are promised to those who were refused."""
        self._refused = 0

    def take(self, now_s: float) -> float:
        """Take a token; 0 where there was one, else the seconds to wait for one.

        Of those who are refused each is told a later time than the one before, until that is
        :data:`LONGEST_WAIT_S` away; from then on the times are spread over the half before it.
        """
        gained = max(0.0, now_s - self._at_s) * self._per_second
        self._tokens = min(self._burst, self._tokens + gained)
        self._at_s = max(self._at_s, now_s)
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        self._promised_s = max(self._promised_s, now_s) + 1 / self._per_second
        if self._promised_s - now_s <= LONGEST_WAIT_S:
            return self._promised_s - now_s
        self._promised_s = now_s + LONGEST_WAIT_S
        self._refused += 1
        return LONGEST_WAIT_S * (1 + self._refused * _GOLDEN_RATIO % 1) / 2


class Limits:
    """The limits of one process."""

    def __init__(self, settings: StreamSettings) -> None:
        self._settings = settings
        self._handshakes = TokenBucket(settings.handshakes_per_second)
        self._of_key: Counter[str] = Counter()
        """Connections by the ruleset's key of their SDK key, live or not."""
        self._full = 0
        """How many were sent away for want of room."""

    def wait_s(self, now_s: float, connections: int) -> int:
        """Whole seconds after which another handshake may succeed; 0 where this one may."""
        if connections >= self._settings.max_connections:
            self._full += 1
            spread_s = LONGEST_WAIT_S - FULL_WAIT_S
            return round(FULL_WAIT_S + spread_s * (self._full * _GOLDEN_RATIO % 1))
        return math.ceil(self._handshakes.take(now_s))

    def enter(self, key: SdkKey) -> bool:
        """Count a connection with this key, unless it would be one too many."""
        if self._of_key[key.document_key] >= self._most_of(key):
            return False
        self._of_key[key.document_key] += 1
        return True

    def leave(self, document_key: str) -> None:
        """A connection that was counted is gone."""
        self._of_key[document_key] -= 1
        if not self._of_key[document_key]:
            del self._of_key[document_key]

    def _most_of(self, key: SdkKey) -> int:
        """A client key is public: alone it must not be able to shut out all others."""
        all_of_them = self._settings.max_connections
        most = self._settings.max_connections_per_key or all_of_them
        return most if key.kind == "server" else min(most, max(1, all_of_them // 2))
