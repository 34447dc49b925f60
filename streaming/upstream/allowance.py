"""How much one connection may send: a token bucket that may go into debt."""

from __future__ import annotations

from enum import Enum, auto

from streaming.upstream.settings import Allowed

_WORST_DEBT = 5
"""In multiples of what may come at once. An SDK with a fault gets its messages dropped; only who
goes on and on as if nothing was closed is closed."""


class Verdict(Enum):
    """What becomes of a message."""

    WITHIN = auto()
    OVER = auto()
    """It is dropped."""
    ABUSIVE = auto()
    """So is the connection."""


class Allowance:
    """One connection's. ``public``: it has a client key."""

    __slots__ = ("_allowed", "_at_s", "_left", "public")

    def __init__(self, allowed: Allowed, now_s: float, *, public: bool) -> None:
        self.public = public
        self._allowed = allowed
        self._left = float(allowed.at_once)
        self._at_s = now_s

    def spend(self, cost: int, now_s: float) -> Verdict:
        """A message of this many counters or events has come."""
        most = self._allowed.at_once
        earned = (now_s - self._at_s) * self._allowed.per_second
        self._left, self._at_s = min(most, self._left + earned) - cost, now_s
        if self._left >= 0:
            return Verdict.WITHIN
        return Verdict.ABUSIVE if self._left < -_WORST_DEBT * most else Verdict.OVER
