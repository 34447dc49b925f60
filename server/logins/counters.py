"""How logins went: plain counters, read at a scrape."""

from __future__ import annotations

from collections import Counter
from typing import Literal, TypeAlias, get_args

Outcome: TypeAlias = Literal["accepted", "refused", "throttled", "overloaded", "reused"]
"""``reused``: a refresh token came a second time."""


class LoginCounters:
    """Since the process began."""

    def __init__(self) -> None:
        self.logins: Counter[Outcome] = Counter(dict.fromkeys(get_args(Outcome), 0))
        """Attempts, by what became of them; refreshes only where they are ``reused``."""
